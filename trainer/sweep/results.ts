import type { Evaluation } from '../events.ts';
import type { SweepPoint } from './plan.ts';

/** A run that is done: the model before it and after it. */
export interface RunResult {
  readonly label: string;
  readonly role: SweepPoint['role'];
  readonly seed: number;
  readonly before: Measured;
  readonly after: Measured;
  readonly seconds: number;
}

/** An evaluation without its texts. */
export interface Measured {
  readonly pairs: number;
  /** Share of held-out pairs whose chosen completion the model itself finds likelier. */
  readonly accuracy: number | null;
  readonly margin: number | null;
  /** The loss's metrics on held-out rows; `rewards/accuracies` is accuracy against the reference. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Mean of each auxiliary reward over sampled completions. */
  readonly rewards: Readonly<Record<string, number | null>>;
  readonly samples: number;
  /** Mean number of words of a sampled completion. */
  readonly words: number | null;
}

export function measured({
  pairs,
  accuracy,
  margin,
  metrics,
  auxiliary,
  samples = [],
}: Evaluation): Measured {
  const words = samples.map(({ completion }) => completion.split(/\s+/).filter((word) => word !== '').length);
  return {
    pairs,
    accuracy: accuracy ?? null,
    margin: margin ?? null,
    metrics,
    rewards: Object.fromEntries(
      Object.entries(auxiliary).map(([name, { sampled }]) => [name, sampled ?? null]),
    ),
    samples: samples.length,
    words: words.length === 0 ? null : words.reduce((sum, count) => sum + count, 0) / words.length,
  };
}

/** A number over seeds. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation over seeds; 0 for a single one. */
  readonly deviation: number;
  readonly values: readonly number[];
}

/** A point of the plot: the runs of one setting, or the reference. */
export interface SweepResult {
  readonly label: string;
  readonly role: SweepPoint['role'] | 'reference';
  readonly seeds: readonly number[];
  readonly accuracy: Spread | undefined;
  readonly implicitAccuracy: Spread | undefined;
  readonly margin: Spread | undefined;
  readonly rewards: Readonly<Record<string, Spread>>;
  readonly words: Spread | undefined;
}

/** Results by setting, the reference (the model before training) first; means are over seeds. */
export function summarize(runs: readonly RunResult[]): SweepResult[] {
  const labels = [...new Set(runs.map(({ label }) => label))];
  const bySeed = new Map(runs.map((run) => [run.seed, run]));
  const reference = [...bySeed.values()];
  return [
    ...(reference.length === 0 ? [] : [result('reference', 'reference', reference, ({ before }) => before)]),
    ...labels.map((label) => {
      const own = runs.filter((run) => run.label === label);
      return result(label, own[0].role, own, ({ after }) => after);
    }),
  ];
}

function result(
  label: string,
  role: SweepResult['role'],
  runs: readonly RunResult[],
  side: (run: RunResult) => Measured,
): SweepResult {
  const of = (number: (measured: Measured) => number | null | undefined) =>
    spread(runs.map((run) => number(side(run))));
  const names = [...new Set(runs.flatMap((run) => Object.keys(side(run).rewards)))];
  const rewards = names.flatMap((name) => {
    const found = of((one) => one.rewards[name]);
    return found === undefined ? [] : [[name, found] as const];
  });
  return {
    label,
    role,
    seeds: runs.map(({ seed }) => seed),
    accuracy: of(({ accuracy }) => accuracy),
    // Against itself the reference prefers nothing.
    implicitAccuracy: role === 'reference' ? undefined : of(({ metrics }) => metrics['rewards/accuracies']),
    margin: of(({ margin }) => margin),
    rewards: Object.fromEntries(rewards),
    words: of(({ words }) => words),
  };
}

/** Undefined where one of the numbers is missing or not finite: a mean over other seeds would be compared with it. */
function spread(numbers: readonly (number | null | undefined)[]): Spread | undefined {
  const values = numbers.filter(
    (value): value is number => typeof value === 'number' && Number.isFinite(value),
  );
  if (values.length === 0 || values.length < numbers.length) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)), values };
}

export type AccuracyName = 'accuracy' | 'implicitAccuracy';

/** A result where both measures are known: `x` a reward, `y` an accuracy. */
export interface Placed {
  readonly result: SweepResult;
  readonly x: Spread;
  readonly y: Spread;
  /** Whether no other one is better in one measure and at least as good in the other, by their means. */
  readonly front: boolean;
}

export function placed(results: readonly SweepResult[], reward: string, accuracy: AccuracyName): Placed[] {
  const points = results.flatMap((one) => {
    const [x, y] = [one.rewards[reward], one[accuracy]] as const;
    return x === undefined || y === undefined ? [] : [{ result: one, x, y }];
  });
  const beats = (a: { x: Spread; y: Spread }, b: { x: Spread; y: Spread }) =>
    a.x.mean >= b.x.mean && a.y.mean >= b.y.mean && (a.x.mean > b.x.mean || a.y.mean > b.y.mean);
  return points.map((point) => ({ ...point, front: !points.some((other) => beats(other, point)) }));
}

/** The rewards that results have, the total first. */
export function rewardsOf(results: readonly SweepResult[]): string[] {
  const names = new Set(results.flatMap(({ rewards }) => Object.keys(rewards)));
  return [...names].toSorted((a, b) => Number(b === 'total') - Number(a === 'total'));
}
