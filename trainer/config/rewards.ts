import { z } from 'zod';
import { builtinRewards, findBuiltin } from '../rewards/builtins.ts';
import { endpointOptions } from '../rewards/endpoint.ts';
import type { RewardConfig } from '../rewards/reward.ts';
import { rewardDefaults } from './defaults.ts';
import { nearest } from './nearest.ts';
import { rewardShape, type GivenSettings } from './schema.ts';
import { sentences } from './sentences.ts';
import { toCamel, toSnake } from './spelling.ts';

type GivenReward = NonNullable<GivenSettings['rewards']>[number];

/** Where a reward comes from, when it is no built-in one. */
const sources = ['module', 'url', 'column'] as const;

/** Completes the entries of `rewards`; what does not fit is added to `mistakes`. */
export function completeRewards(given: readonly GivenReward[], mistakes: string[]): RewardConfig[] {
  const names = new Set<string>();
  return given.map((entry, index) => {
    const {
      name: givenName,
      module = null,
      url = null,
      column = null,
      weight,
      normalize,
      cache,
      ...rest
    } = entry;
    const at = `rewards[${index}]`;
    const from = sources.filter((source) => (entry[source] ?? null) !== null);
    if (from.length > 1) mistakes.push(`${at}: has ${from.join(' and ')}; a reward comes from one of them`);
    const name = givenName ?? labelOf({ module, url, column });
    if (name === '')
      mistakes.push(
        `${at}: has neither a name nor a module, url or column; name a built-in reward, or say where your own comes from`,
      );
    else if (names.has(name))
      mistakes.push(`${at}.name: ${name} is taken by an earlier reward; name it otherwise`);
    names.add(name);
    const kind = from[0];
    const options =
      kind === undefined
        ? builtinOptions(name, rest, at, mistakes)
        : checkOptions(`a reward from a ${kind}`, kind === 'url' ? endpointOptions : {}, rest, at, mistakes);
    return {
      name,
      module,
      url,
      column,
      weight: weight ?? rewardDefaults.weight,
      normalize: normalize ?? rewardDefaults.normalize,
      cache: cache ?? rewardDefaults.cache,
      options,
    };
  });
}

function builtinOptions(
  name: string,
  given: Record<string, unknown>,
  at: string,
  mistakes: string[],
): Record<string, unknown> {
  if (name === '') return given;
  const builtin = findBuiltin(name);
  if (builtin === undefined) {
    const known = builtinRewards.map((reward) => reward.name);
    mistakes.push(
      `${at}.name: ${name} is no built-in reward; did you mean ${nearest(name, known)}? A reward of your own needs its module, url or column`,
    );
    return given;
  }
  const before = mistakes.length;
  const options = checkOptions(`reward ${name}`, builtin.options, given, at, mistakes);
  const needed = mistakes.length === before ? builtin.needs?.(options) : undefined;
  if (needed !== undefined) mistakes.push(`${at}: reward ${name} expects ${needed}`);
  return options;
}

function checkOptions(
  owner: string,
  known: Readonly<Record<string, z.ZodType>>,
  given: Readonly<Record<string, unknown>>,
  at: string,
  mistakes: string[],
): Record<string, unknown> {
  const options = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [
      Object.hasOwn(known, toCamel(key)) ? toCamel(key) : key,
      value,
    ]),
  );
  for (const key of Object.keys(options).filter((name) => !Object.hasOwn(known, name))) {
    const names = [...Object.keys(known), ...Object.keys(rewardShape)].map(toSnake);
    mistakes.push(`${at}.${key}: is no option of ${owner}; did you mean ${nearest(key, names)}?`);
  }
  const parsed = z.object(known).safeParse(options);
  if (parsed.success) return parsed.data;
  mistakes.push(...sentences(parsed.error, options, known, {}, `${at}.`));
  return options;
}

/** `./rewards/short.mjs` → `short`; `http://localhost:8000/toxicity` → `toxicity`; a column is called as it is. */
function labelOf({ module, url, column }: Pick<RewardConfig, 'module' | 'url' | 'column'>): string {
  if (column !== null) return column;
  const last = (path: string) =>
    path
      .replace(/[/\\]+$/, '')
      .split(/[/\\]/)
      .at(-1) ?? '';
  if (module !== null) return last(module).replace(/\.[^.]*$/, '');
  return url === null ? '' : last(url.replace(/[?#].*$/, ''));
}
