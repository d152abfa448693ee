import { PrefgradError } from '../../engine/errors.ts';
import { contentHash } from '../data/hash.ts';
import { place } from '../data/rows.ts';
import type { RewardCache } from './cache.ts';
import { columnScore } from './column.ts';
import { NoScore } from './noScore.ts';
import type { Reward, RewardTarget, TextReward } from './reward.ts';

export interface ComputeOptions {
  /** Read and written for rewards that have an identity. */
  cache?: RewardCache | undefined;
  /** After every few scores; `done` of `total` distinct texts, counted over all rewards. */
  onProgress?: (progress: { reward: string; done: number; total: number }) => void;
  /** How many scores of one reward may be under way at once, for functions that wait. */
  concurrency?: number;
  /** Gets what fails, whose score is then NaN. Without it, the first failure stops the work. */
  onFailure?: (failure: Failure) => void;
  signal?: AbortSignal | undefined;
}

/** A completion that a reward has no finite number for. */
export interface Failure {
  readonly reward: string;
  readonly target: RewardTarget;
  /** Completes "reward x: …": `gives NaN at rows.jsonl:3, expected a finite number`. */
  readonly reason: string;
}

/** Mean and standard deviation that a reward is standardized by. */
export interface Normalization {
  readonly mean: number;
  readonly deviation: number;
}

export interface RewardResult {
  /** r_k(x, y) of every target, by the reward's name, before normalization. */
  readonly scores: ReadonlyMap<string, Float64Array>;
  /** R(x, y) = Σ_k w_k r_k(x, y) of every target (arXiv 2405.17956, Eq. 3). */
  readonly total: Float64Array;
  /** For rewards with `normalize: standardize`; `scoreWith` applies it to further completions. */
  readonly normalization: ReadonlyMap<string, Normalization>;
}

/**
 * Scores a training set's completions: each reward once per distinct (prompt, completion), then normalized
 * over all targets, weighted and added up. A reward that throws, or returns anything but a finite number,
 * stops it with a PrefgradError naming the reward and the row.
 */
export async function computeRewards(
  targets: readonly RewardTarget[],
  rewards: readonly Reward[],
  options: ComputeOptions = {},
): Promise<RewardResult> {
  const scores = await scoreAll(targets, rewards, options);
  const normalization = new Map<string, Normalization>();
  for (const { name, normalize } of rewards) {
    const values = scores.get(name)?.filter((value) => !Number.isNaN(value));
    if (normalize === 'standardize' && values !== undefined) normalization.set(name, moments(values));
  }
  return { scores, normalization, total: weightedSum(targets.length, rewards, scores, normalization) };
}

/** Scores further completions as the training set was scored: with its means and deviations. */
export async function scoreWith(
  targets: readonly RewardTarget[],
  rewards: readonly Reward[],
  normalization: ReadonlyMap<string, Normalization>,
  options: ComputeOptions = {},
): Promise<RewardResult> {
  const scores = await scoreAll(targets, rewards, options);
  return { scores, normalization, total: weightedSum(targets.length, rewards, scores, normalization) };
}

/** Population mean and deviation. */
export function moments(values: Float64Array): Normalization {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let variance = 0;
  for (const value of values) variance += (value - mean) ** 2 / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

function weightedSum(
  count: number,
  rewards: readonly Reward[],
  scores: ReadonlyMap<string, Float64Array>,
  normalization: ReadonlyMap<string, Normalization>,
): Float64Array {
  const total = new Float64Array(count);
  for (const { name, weight } of rewards) {
    const values = scores.get(name) ?? new Float64Array(count);
    const { mean, deviation } = normalization.get(name) ?? { mean: 0, deviation: 1 };
    // A reward that is the same everywhere says nothing: 0, not 0 / 0. Rounding leaves a trace of the mean.
    const constant = deviation <= 1e-12 * Math.abs(mean);
    for (let i = 0; i < count; i++) total[i] += constant ? 0 : (weight * (values[i] - mean)) / deviation;
  }
  return total;
}

async function scoreAll(
  targets: readonly RewardTarget[],
  rewards: readonly Reward[],
  options: ComputeOptions,
): Promise<Map<string, Float64Array>> {
  const distinct = distinctTexts(targets);
  const scores = new Map<string, Float64Array>();
  for (const [k, reward] of rewards.entries()) {
    if (scores.has(reward.name))
      throw new PrefgradError(`reward ${reward.name}: the name is taken by another reward`);
    const onDone = (done: number) => {
      const total = rewards.length * distinct.length;
      options.onProgress?.({ reward: reward.name, done: k * distinct.length + done, total });
    };
    const take = takerFor(reward.name, options);
    const values =
      'column' in reward
        ? Float64Array.from(targets, (target) => take(target, columnScore(target, reward.column)))
        : await scoreTexts(targets, distinct, reward, take, options, onDone);
    if ('column' in reward) onDone(distinct.length);
    scores.set(reward.name, values);
  }
  return scores;
}

/** Takes what a reward gave: the number; or else NaN, once the failure is told. */
type Take = (target: RewardTarget, score: unknown) => number;

function takerFor(reward: string, { onFailure = stop }: ComputeOptions): Take {
  return (target, score) => {
    if (typeof score === 'number' && Number.isFinite(score)) return score;
    const got = typeof score === 'number' ? String(score) : describe(score);
    const reason =
      score instanceof NoScore
        ? score.reason
        : `gives ${got} at ${place(target.origin)}, expected a finite number`;
    onFailure({ reward, target, reason });
    return NaN;
  };
}

function stop({ reward, target, reason }: Failure): never {
  throw new PrefgradError(
    `reward ${reward}: ${reason}; ${excerpt(target.completion)}; the command rewards lists all such rows`,
  );
}

interface Distinct {
  readonly target: RewardTarget;
  readonly places: number[];
}

/** A reward of texts, each distinct one once, from the cache where it is known there. */
async function scoreTexts(
  targets: readonly RewardTarget[],
  distinct: readonly Distinct[],
  reward: TextReward,
  take: Take,
  { cache, concurrency = 8, signal }: ComputeOptions,
  onDone: (done: number) => void,
): Promise<Float64Array> {
  const values = new Float64Array(targets.length);
  const bound = cache === undefined ? undefined : await cacheOf(reward, cache);
  const [size, parallel] =
    'scoreBatch' in reward ? [reward.batchSize, reward.parallel] : [1, Math.max(concurrency, 1)];
  let done = 0;
  const settle = async ({ places }: Distinct, score: number, text: string | undefined) => {
    for (const i of places) values[i] = score;
    if (text !== undefined && !Number.isNaN(score)) await bound?.set(text, score);
    done++;
  };
  const scoreGroup = async (group: readonly Pending[]) => {
    const scores = await ask(
      reward,
      group.map(({ one }) => one.target),
      signal,
    );
    for (const [i, { one, text }] of group.entries()) await settle(one, take(one.target, scores[i]), text);
  };
  try {
    let pending: Pending[] = [];
    for (const [i, one] of distinct.entries()) {
      const text = bound && (await contentHash([one.target.prompt, one.target.completion]));
      const known = text === undefined ? undefined : await bound?.get(text);
      if (known === undefined) pending.push({ one, text });
      else await settle(one, known, undefined);
      if (pending.length === size * parallel || i === distinct.length - 1) {
        signal?.throwIfAborted();
        await Promise.all(chunks(pending, size).map(scoreGroup));
        pending = [];
        onDone(done);
      }
    }
  } finally {
    await cache?.flush?.();
  }
  return values;
}

interface Pending {
  readonly one: Distinct;
  /** Its key in the cache. */
  readonly text: string | undefined;
}

/** What a reward says of some texts. */
async function ask(
  reward: TextReward,
  targets: readonly RewardTarget[],
  signal: AbortSignal | undefined,
): Promise<readonly unknown[]> {
  if ('scoreBatch' in reward) return reward.scoreBatch(targets, signal);
  return Promise.all(
    targets.map(async ({ prompt, completion, origin }) => {
      try {
        return await reward.score(prompt, completion);
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        return new NoScore(`fails at ${place(origin)}: ${detail}`);
      }
    }),
  );
}

function distinctTexts(targets: readonly RewardTarget[]): Distinct[] {
  const found = new Map<string, Distinct>();
  for (const [i, target] of targets.entries()) {
    const key = JSON.stringify([target.prompt, target.completion]);
    const known = found.get(key);
    if (known === undefined) found.set(key, { target, places: [i] });
    else known.places.push(i);
  }
  return [...found.values()];
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

/** The cache as one reward sees it. */
interface BoundCache {
  get(text: string): number | undefined | Promise<number | undefined>;
  set(text: string, score: number): void | Promise<void>;
}

async function cacheOf({ identity }: Reward, cache: RewardCache): Promise<BoundCache | undefined> {
  if (identity === undefined) return undefined;
  const reward = await contentHash(identity);
  return { get: (text) => cache.get(reward, text), set: (text, score) => cache.set(reward, text, score) };
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The completion's start, so that the row is found at a glance. */
function excerpt(completion: string): string {
  const text = JSON.stringify(completion);
  return `the completion is ${text.length > 80 ? `${text.slice(0, 79)}…` : text}`;
}
