import { z } from 'zod';
import { PrefgradError } from '../../engine/errors.ts';
import type { RewardTexts } from './reward.ts';

/** Options of a reward with a `url`, in camelCase; descriptions complete "expected …". */
export const endpointOptions = {
  /** Texts a request. */
  batchSize: z.int().min(1).default(32).describe('a whole number of at least 1'),
  /** Requests at once. */
  parallel: z.int().min(1).default(2).describe('a whole number of at least 1'),
  /** Seconds that an answer may take. */
  timeout: z.number().gt(0).default(60).describe('a number of seconds above 0'),
  /** Further attempts after one that failed. */
  retries: z.int().min(0).default(4).describe('a whole number of at least 0'),
  /** An environment variable with a token, sent as `Authorization: Bearer …`; the configuration is no place for it. */
  tokenEnv: z.string().min(1).optional().describe('the name of an environment variable'),
  /** Any text; another one makes cached scores be asked for anew. */
  version: z.union([z.string(), z.number()]).optional().describe('a text or a number'),
};

const schema = z.object(endpointOptions);

export interface Endpoint {
  readonly batchSize: number;
  readonly parallel: number;
  readonly identity: string;
  readonly score: (texts: readonly RewardTexts[], signal?: AbortSignal) => Promise<readonly unknown[]>;
}

/** First pause before another attempt, in ms; each further one is twice as long, up to the last. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [250, 30_000];
/** Answers after which the same request may succeed. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An attempt that failed for a reason that may pass. */
class Passing extends Error {
  constructor(
    /** Completes "http://…". */
    readonly problem: string,
    readonly cure: string,
    readonly atLeast = 0,
  ) {
    super(problem);
  }
}

/**
 * A reward behind an address. It gets `{"prompts": [...], "completions": [...]}` by POST, as many of one as of the
 * other, and answers with a list of as many numbers in the same order, or with one under `scores` or `rewards`.
 * Failures that may pass (no connection, no answer in time, 429, 5xx) are tried again, after pauses that double, or
 * that the server asks for. Errors: any other answer, or attempts used up; a token that is not set.
 */
export function endpoint(name: string, url: string, options: unknown): Endpoint {
  const settings = schema.parse(options);
  const { batchSize, parallel, version = '' } = settings;
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...bearer(name, settings),
  };
  return {
    batchSize,
    parallel,
    identity: `endpoint ${url} ${version}`,
    async score(texts, signal) {
      const body = JSON.stringify({
        prompts: texts.map(({ prompt }) => prompt),
        completions: texts.map(({ completion }) => completion),
      });
      for (let attempt = 0; ; attempt++) {
        try {
          return await ask(url, { body, headers, count: texts.length, timeout: settings.timeout, signal });
        } catch (error) {
          signal?.throwIfAborted();
          if (!(error instanceof Passing))
            throw error instanceof PrefgradError
              ? new PrefgradError(`reward ${name}: ${url} ${error.message}`)
              : error;
          if (attempt === settings.retries) {
            const times = attempt === 0 ? '' : ` (${attempt + 1} attempts)`;
            throw new PrefgradError(`reward ${name}: ${url} ${error.problem}${times}; ${error.cure}`);
          }
          await pause(Math.max(error.atLeast, Math.min(FIRST_PAUSE * 2 ** attempt, LONGEST_PAUSE)), signal);
        }
      }
    },
  };
}

function bearer(name: string, { tokenEnv }: z.output<typeof schema>): Record<string, string> {
  if (tokenEnv === undefined) return {};
  const token = typeof process === 'undefined' ? undefined : process.env[tokenEnv];
  if (token === undefined || token === '')
    throw new PrefgradError(`reward ${name}: the environment variable ${tokenEnv} (token_env) is not set`);
  return { authorization: `Bearer ${token}` };
}

interface Request {
  readonly body: string;
  readonly headers: Record<string, string>;
  readonly count: number;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

async function ask(url: string, { body, headers, count, timeout, signal }: Request): Promise<unknown[]> {
  const late = AbortSignal.timeout(timeout * 1000);
  const stop = signal === undefined ? late : AbortSignal.any([late, signal]);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { method: 'POST', body, headers, signal: stop });
    text = await response.text();
  } catch (error) {
    if (late.aborted)
      throw new Passing(
        `gave no answer within ${timeout} s`,
        'allow it more time (timeout), or give it less at once (batch_size)',
      );
    throw new Passing(`can not be reached (${reason(error)})`, 'is the server running?');
  }
  if (PASSING.has(response.status))
    throw new Passing(
      `answers ${response.status}${excerpt(text)}`,
      'look at the server’s log',
      1000 * Math.min(Number(response.headers.get('retry-after') ?? 0) || 0, 120),
    );
  if (!response.ok)
    throw new PrefgradError(`answers ${response.status}${excerpt(text)}; is the address right?`);
  return scoresOf(text, count);
}

function scoresOf(text: string, count: number): unknown[] {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  const inner =
    typeof answer === 'object' && answer !== null
      ? 'scores' in answer
        ? answer.scores
        : 'rewards' in answer
          ? answer.rewards
          : answer
      : answer;
  if (Array.isArray(inner) && inner.length === count) return inner as unknown[];
  const got = Array.isArray(inner) ? `a list of ${inner.length}` : `no list of numbers${excerpt(text)}`;
  throw new PrefgradError(
    `answers with ${got}, expected a JSON list of ${count} numbers, one for each completion, or {"scores": [...]}`,
  );
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line === '' ? '' : ` (${line.length > 100 ? `${line.slice(0, 99)}…` : line})`;
}

/** What fetch failed of: its cause says more than itself. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && cause.message !== '') return cause.message;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error.message;
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
  signal?.throwIfAborted();
}
