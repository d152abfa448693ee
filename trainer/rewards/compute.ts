import { PrefgradError } from '../../engine/errors.ts';
import { contentHash } from '../data/hash.ts';
import { place, type Origin } from '../data/rows.ts';
import type { RewardCache } from './cache.ts';
import type { Reward } from './reward.ts';

/** A completion to score. */
export interface RewardTarget {
  readonly prompt: string;
  readonly completion: string;
  /** Named in errors. */
  readonly origin: Origin;
}

export interface ComputeOptions {
  /** Read and written for rewards that have an identity. */
  cache?: RewardCache;
  /** After every few scores; `done` of `total` distinct texts, counted over all rewards. */
  onProgress?: (progress: { reward: string; done: number; total: number }) => void;
  /** How many scores of one reward may be under way at once, for rewards that wait. */
  concurrency?: number;
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
    const values = scores.get(name);
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
function moments(values: Float64Array): Normalization {
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

interface Distinct {
  readonly target: RewardTarget;
  readonly places: number[];
}

async function scoreAll(
  targets: readonly RewardTarget[],
  rewards: readonly Reward[],
  { cache, onProgress, concurrency = 8 }: ComputeOptions,
): Promise<Map<string, Float64Array>> {
  const distinct = distinctTexts(targets);
  const scores = new Map<string, Float64Array>();
  for (const [k, reward] of rewards.entries()) {
    if (scores.has(reward.name))
      throw new PrefgradError(`reward ${reward.name}: the name is taken by another reward`);
    const values = new Float64Array(targets.length);
    const cached = cache === undefined ? undefined : await cacheOf(reward, cache);
    for (let start = 0; start < distinct.length; start += concurrency) {
      const group = distinct.slice(start, start + concurrency);
      await Promise.all(
        group.map(async ({ target, places }) => {
          const score = await scoreOne(reward, target, cached);
          for (const i of places) values[i] = score;
        }),
      );
      const done = k * distinct.length + start + group.length;
      onProgress?.({ reward: reward.name, done, total: rewards.length * distinct.length });
    }
    scores.set(reward.name, values);
  }
  return scores;
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

async function scoreOne(
  reward: Reward,
  target: RewardTarget,
  cache: BoundCache | undefined,
): Promise<number> {
  if (cache === undefined) return callReward(reward, target);
  const text = await contentHash([target.prompt, target.completion]);
  const known = await cache.get(text);
  if (known !== undefined) return known;
  const score = await callReward(reward, target);
  await cache.set(text, score);
  return score;
}

async function callReward(reward: Reward, { prompt, completion, origin }: RewardTarget): Promise<number> {
  let score: unknown;
  try {
    score = await reward.score(prompt, completion);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(
      `reward ${reward.name}: fails at ${place(origin)}: ${detail}; ${excerpt(completion)}`,
    );
  }
  if (typeof score === 'number' && Number.isFinite(score)) return score;
  const got = typeof score === 'number' ? String(score) : describe(score);
  throw new PrefgradError(
    `reward ${reward.name}: gives ${got} at ${place(origin)}, expected a finite number; ${excerpt(completion)}`,
  );
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
