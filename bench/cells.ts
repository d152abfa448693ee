import type { Measurement } from './measurement.ts';
import type { Runtime } from './runtimes.ts';

export interface Cell extends Measurement {
  readonly runtime: Runtime;
  /** What is shown instead of the median: a name in `also`. */
  readonly field?: string;
}

/** A table of RESULTS.md, and with it what is measured. */
export interface Section {
  readonly title: string;
  /** Header of the first column, then of each cell. */
  readonly head: readonly string[];
  /** Undefined: that cannot be measured here, or anywhere. */
  readonly rows: readonly { readonly label: string; readonly cells: readonly (Cell | undefined)[] }[];
  /** Measured once, however many rounds there are: it takes minutes. */
  readonly once?: boolean;
  /** A plot of this column (from 1) beside the table. */
  readonly plot?: { readonly file: string; readonly column: number; readonly unit: string };
}

export const GPT_STEP = { layers: 4, width: 256, heads: 4, length: 128, batch: 4, vocab: 2048 };

export const gemm = (
  runtime: Runtime,
  [m, n, k]: readonly [number, number, number],
  more: Cell['options'],
): Cell => ({
  kind: 'gemm',
  runtime,
  options: { m, n, k, ...more },
});

export const gptStep = (runtime: Runtime, more: Cell['options']): Cell => ({
  ...{ kind: 'gpt-step', runtime, options: { ...GPT_STEP, ...more } },
});
