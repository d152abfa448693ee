import { PrefgradError } from '../engine/errors.ts';

/** What one microbatch or step measured, under TRL's names (`loss`, `rewards/chosen`, …). */
export type StepMetrics = Readonly<Record<string, number>>;

/**
 * One line of metrics.jsonl. A number that was not finite (NaN, ±Infinity) is null there, since JSON
 * has no word for it; a metric that was not measured has no key.
 */
export interface MetricsLine {
  step: number;
  [name: string]: number | null;
}

/** Metrics of which a line has the last value; of all others it has the mean over the window. As Transformers does. */
const lastValue = new Set([
  'learning_rate',
  'learning_rate/value',
  'grad_norm',
  'grad_norm/value',
  'epoch',
  'num_tokens',
  'memory/bytes',
]);

interface MeasuredStep {
  readonly microbatches: readonly StepMetrics[];
  readonly metrics: StepMetrics;
}

export interface MetricsWindowState {
  readonly sums: Readonly<Record<string, { readonly sum: number; readonly count: number }>>;
  readonly last: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly tokens: number;
  readonly steps: number;
}

/**
 * Gathers the metrics of the steps since the last logged line.
 *
 * Each metric is the plain mean over the microbatches that measured it, as TRL has it: a microbatch of KTO
 * without a rejected row says nothing about `rewards/rejected` and leaves its mean alone.
 */
export class MetricsWindow {
  #sums = new Map<string, { sum: number; count: number }>();
  #last = new Map<string, number>();
  #seconds = 0;
  #tokens = 0;
  #steps = 0;

  /** Adds what one microbatch (or a whole step) measured. */
  add(metrics: StepMetrics): void {
    for (const [name, value] of Object.entries(metrics)) {
      if (lastValue.has(name)) {
        this.#last.set(name, value);
        continue;
      }
      const entry = this.#sums.get(name);
      if (entry === undefined) this.#sums.set(name, { sum: value, count: 1 });
      else {
        entry.sum += value;
        entry.count += 1;
      }
    }
  }

  /** Ends an optimizer step that took `seconds` of wall time and computed `tokens` tokens. */
  endStep(cost: { seconds: number; tokens: number }): void {
    this.#seconds += cost.seconds;
    this.#tokens += cost.tokens;
    this.#steps += 1;
  }

  /** Adds a whole optimizer step. */
  addStep(step: MeasuredStep & { readonly seconds: number; readonly tokens: number }): void {
    for (const one of step.microbatches) this.add(one);
    this.add(step.metrics);
    this.endStep(step);
  }

  /** The window as plain JSON, for a checkpoint that falls between two logged lines. */
  get state(): MetricsWindowState {
    return {
      sums: Object.fromEntries(this.#sums),
      last: Object.fromEntries(this.#last),
      seconds: this.#seconds,
      tokens: this.#tokens,
      steps: this.#steps,
    };
  }

  static from({ sums, last, seconds, tokens, steps }: MetricsWindowState): MetricsWindow {
    const window = new MetricsWindow();
    window.#sums = new Map(Object.entries(sums).map(([name, entry]) => [name, { ...entry }]));
    window.#last = new Map(Object.entries(last));
    [window.#seconds, window.#tokens, window.#steps] = [seconds, tokens, steps];
    return window;
  }

  /** Optimizer steps since the last `take`. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * The line to log at `step`, and an empty window. `step_time` is the mean in seconds of the window's steps,
   * `tokens_per_second` its tokens over its seconds.
   */
  take(step: number): MetricsLine {
    const line: MetricsLine = { step };
    for (const [name, { sum, count }] of this.#sums) line[name] = finite(sum / count);
    for (const [name, value] of this.#last) line[name] = finite(value);
    if (this.#steps > 0) {
      line['step_time'] = finite(this.#seconds / this.#steps);
      if (this.#seconds > 0) line['tokens_per_second'] = finite(this.#tokens / this.#seconds);
    }
    this.#sums.clear();
    this.#last.clear();
    this.#seconds = this.#tokens = this.#steps = 0;
    return line;
  }
}

/** What one optimizer step measured, its microbatches' means included. */
export function metricsOf({ microbatches, metrics }: MeasuredStep): StepMetrics {
  const window = new MetricsWindow();
  for (const one of [...microbatches, metrics]) window.add(one);
  const { step: _, ...numbers } = window.take(0);
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, value ?? NaN]));
}

/** The metrics of a line that were not finite; the training loop warns of them. */
export function nonFinite(line: MetricsLine): string[] {
  return Object.keys(line).filter((name) => line[name] === null);
}

/** Parses one line of metrics.jsonl; `where` is what an error calls it. */
export function parseMetricsLine(text: string, where: string): MetricsLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new PrefgradError(`${where}: expected one JSON object, found ${JSON.stringify(text.slice(0, 60))}`);
  }
  if (!isMetricsLine(value)) {
    throw new PrefgradError(
      `${where}: expected an object with a whole number "step" and numbers (or null) for metrics, ` +
        `found ${JSON.stringify(value).slice(0, 60)}`,
    );
  }
  return value;
}

function isMetricsLine(value: unknown): value is MetricsLine {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries: [string, unknown][] = Object.entries(value);
  return (
    entries.every(([, number]) => number === null || typeof number === 'number') &&
    entries.some(([name, step]) => name === 'step' && Number.isSafeInteger(step))
  );
}

/** The number, or null for NaN and ±Infinity. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
