import type { Tensor } from '../../engine/index.ts';
import {
  add,
  affine,
  detach,
  f32,
  fill,
  greater,
  i32,
  mul,
  reshape,
  scatterAddRows,
  sum,
} from '../../engine/index.ts';
import type { Capacity } from '../pack.ts';
import type { HostBatch, LossBatch } from './loss.ts';

/*
 * Sorting as arithmetic: ranks by comparing each number with each, then a 0/1 matrix that moves them there, a constant
 * to the gradient. A batch has few pairs, so n² numbers are few.
 */

/** Beyond any log-prob. */
const LAST = 1e30;

export const sortInputTypes = ({ sequences }: Capacity) => ({
  sortSlots: i32([sequences], 'pairs'),
  sortIndex: f32([sequences], 'pairs'),
});

export const sortInputs = ({ rows }: HostBatch) => ({
  sortSlots: [...rows.keys()],
  sortIndex: [...rows.keys()],
});

/** x [pairs] in ascending order; equal numbers keep theirs. */
export function sorted(x: Tensor, { inputs }: LossBatch): Tensor {
  const { sortSlots: slots, sortIndex: index } = inputs;
  const [n = 0] = x.shape;
  const column = (t: Tensor) => reshape(t, [n, 1]);
  /** [pairs] → [1, n], which a matrix may have as its columns; `absent` where there is no pair. */
  const present = scatterAddRows(fill(x.type, 1), slots, f32([n]));
  const row = (t: Tensor, absent = 0) => {
    const spread = scatterAddRows(t, slots, f32([n]));
    return reshape(absent === 0 ? spread : add(spread, affine(present, -absent, absent)), [1, n]);
  };
  /** [pairs, n]: 1 where column a equals row b. */
  const equal = (a: Tensor, b: Tensor) => affine(add(greater(a, b), greater(b, a)), -1, 1);

  const keys = detach(x);
  const others = row(keys, LAST);
  const earlier = greater(column(index), row(index));
  const before = add(greater(column(keys), others), mul(equal(column(keys), others), earlier));
  const ranks = sum(before, 1);
  return sum(mul(equal(column(index), row(ranks, LAST)), row(x)), 1);
}
