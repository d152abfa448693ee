import { moments } from './compute.ts';

/** Scores of one side. */
export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
  readonly min: number;
  readonly quartiles: readonly [number, number, number];
  readonly max: number;
  /** Counts in ten equal bins from the least to the greatest score of both sides. */
  readonly histogram: readonly number[];
}

/** How one reward lies, and whether it wants what the preferences want. */
export interface RewardSummary {
  readonly name: string;
  /** Completions without a finite score, which all else leaves out. */
  readonly failed: number;
  /** Undefined where there is none. */
  readonly chosen: Distribution | undefined;
  readonly rejected: Distribution | undefined;
  /** Pairs whose chosen completion scores higher, the same, and lower. */
  readonly pairs: { readonly higher: number; readonly same: number; readonly lower: number };
  /** Mean of chosen − mean of rejected, and its standard error (over pairs where there are some). */
  readonly difference: number | undefined;
  readonly error: number | undefined;
  /** Pearson's correlation of the score with being chosen (1) or rejected (0), over all completions. */
  readonly correlation: number | undefined;
  /** `against`: the difference is below 0 by more than two standard errors; `with`: above. */
  readonly verdict: 'with' | 'against' | 'neither';
  /** Share of completions that have the most frequent score. */
  readonly alike: number;
}

/** One completion's place among the others. */
export interface Side {
  readonly chosen: boolean;
  /** A number that a pair's two completions share; undefined for completions without a counterpart. */
  readonly pair: number | undefined;
}

const BINS = 10;
/** Fewer completions of a side say nothing for or against. */
const FEW = 5;

/** Summarizes one reward's scores, those of `sides` in order; NaN for what failed. */
export function describeReward(
  name: string,
  scores: ArrayLike<number>,
  sides: readonly Side[],
): RewardSummary {
  const known = sides
    .map((side, i) => ({ ...side, score: scores[i] }))
    .filter(({ score }) => !Number.isNaN(score));
  const of = (chosen: boolean) => known.filter((one) => one.chosen === chosen).map(({ score }) => score);
  const [chosen, rejected] = [of(true), of(false)];
  const all = [...chosen, ...rejected].toSorted((a, b) => a - b);
  const range = [all[0] ?? 0, all.at(-1) ?? 0] as const;
  const gaps = pairGaps(known);
  const both = chosen.length > 0 && rejected.length > 0;
  const difference = both ? mean(chosen) - mean(rejected) : undefined;
  const few = both ? Math.min(chosen.length, rejected.length) : 0;
  const error =
    gaps.length > 1
      ? standardError(gaps)
      : few > 1
        ? Math.hypot(standardError(chosen), standardError(rejected))
        : undefined;
  return {
    name,
    failed: sides.length - known.length,
    chosen: distribution(chosen, range),
    rejected: distribution(rejected, range),
    pairs: {
      higher: gaps.filter((gap) => gap > 0).length,
      same: gaps.filter((gap) => gap === 0).length,
      lower: gaps.filter((gap) => gap < 0).length,
    },
    difference,
    error,
    correlation: both
      ? correlation(
          known.map(({ score }) => score),
          known.map((one) => Number(one.chosen)),
        )
      : undefined,
    verdict: few < FEW ? 'neither' : verdictOf(difference, error),
    alike: mostFrequent(all) / Math.max(all.length, 1),
  };
}

/** Chosen − rejected of every pair whose two scores are known. */
function pairGaps(known: readonly (Side & { score: number })[]): number[] {
  const pairs = new Map<number, { chosen?: number; rejected?: number }>();
  for (const { pair, chosen, score } of known) {
    if (pair === undefined) continue;
    pairs.set(pair, { ...pairs.get(pair), [chosen ? 'chosen' : 'rejected']: score });
  }
  return [...pairs.values()].flatMap(({ chosen, rejected }) =>
    chosen === undefined || rejected === undefined ? [] : [chosen - rejected],
  );
}

function distribution(
  values: readonly number[],
  [low, high]: readonly [number, number],
): Distribution | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const histogram = Array.from({ length: BINS }, () => 0);
  for (const value of sorted)
    histogram[high > low ? Math.min(Math.floor((BINS * (value - low)) / (high - low)), BINS - 1) : 0]++;
  return {
    count: values.length,
    ...moments(Float64Array.from(values)),
    min: sorted[0],
    quartiles: [quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)],
    max: sorted[sorted.length - 1],
    histogram,
  };
}

/** Between neighbours, as NumPy has it by default. */
function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}

function correlation(a: readonly number[], b: readonly number[]): number | undefined {
  const [x, y] = [moments(Float64Array.from(a)), moments(Float64Array.from(b))];
  if (x.deviation <= 1e-12 * Math.abs(x.mean) || y.deviation === 0) return undefined;
  const covariance = mean(a.map((value, i) => (value - x.mean) * (b[i] - y.mean)));
  return covariance / (x.deviation * y.deviation);
}

function verdictOf(difference: number | undefined, error: number | undefined): RewardSummary['verdict'] {
  if (difference === undefined || error === undefined || Math.abs(difference) <= 2 * error) return 'neither';
  return difference > 0 ? 'with' : 'against';
}

function mostFrequent(sorted: readonly number[]): number {
  let [most, run] = [0, 0];
  for (const [i, value] of sorted.entries()) {
    run = i > 0 && value === sorted[i - 1] ? run + 1 : 1;
    most = Math.max(most, run);
  }
  return most;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function standardError(values: readonly number[]): number {
  const { deviation } = moments(Float64Array.from(values));
  return deviation / Math.sqrt(values.length - 1);
}
