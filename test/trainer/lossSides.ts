import type { TokenizedPair } from '../../trainer/data/tokenized.ts';
import type { LossInputs } from './lossBatch.ts';

// What equations of losses are written in.

/** One side of a pair. */
export interface Side {
  /** log π and log π_ref, |y|. */
  readonly logp: number;
  readonly ref: number;
  readonly tokens: number;
}

export const sigma = (x: number) => 1 / (1 + Math.exp(-x));
export const ls = (x: number) => Math.log(sigma(x));
export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
export const ratio = ({ logp, ref }: Side) => logp - ref;

/** Each pair's two sides; labels count `weight(position, shorter length)`. */
export function sidesOf(
  rows: readonly TokenizedPair[],
  inputs: LossInputs,
  weight: (position: number, shorter: number) => number = () => 1,
): [Side, Side][] {
  const { first, referenceLogps, packed } = inputs.batch;
  const before = (completion: number) => packed.lengths.slice(0, completion).reduce((a, b) => a + b, 0);
  return rows.map((row, r) => {
    const shorter = Math.min(row.chosen.ids.length, row.rejected.ids.length);
    const [chosen, rejected] = [row.chosen, row.rejected].map(({ ids }, side): Side => {
      const completion = (first[r] ?? 0) + side;
      const start = before(completion);
      const logp = ids.reduce(
        (sum, _, i) => sum + weight(i, shorter) * (inputs.tokenLogps[start + i] ?? NaN),
        0,
      );
      return { logp, ref: referenceLogps[completion] ?? NaN, tokens: ids.length };
    });
    return [chosen, rejected];
  });
}
