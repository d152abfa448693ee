import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op } from '../op.ts';
import { uniformAt } from './counterHash.ts';
import { defined, expectType, one } from './inputs.ts';

interface DropoutAttrs {
  readonly [key: string]: number;
  /** Probability of a zero. */
  readonly p: number;
  /** Tells one dropout of a program from another. */
  readonly salt: number;
}

export const dropoutOp: Op<DropoutAttrs> = {
  name: 'dropout',
  shape([x, seed]) {
    expectType('dropout', 'seed', seed, 'i32', 1);
    return [defined('dropout', x)];
  },
  gradient: ({ inputs: [, seed], attrs, grads: [dy] }) => [dy && seed && apply(dropoutOp, [dy, seed], attrs)],
  define([x, seed], [y], { p, salt }) {
    const to = one(y).data;
    const s = one(seed).data[0] ?? 0;
    one(x).data.forEach((v, i) => (to[i] = uniformAt(i, s, salt) < p ? 0 : v / (1 - p)));
  },
  inPlace: () => [[0, 0]],
  samples: [
    {
      attrs: { p: 0.3, salt: 1 },
      inputs: [
        { shape: [9, 8], rows: 'tokens' },
        { shape: [1], int: 1000 },
      ],
      counts: { tokens: 5 },
    },
  ],
};

/** x with each element zeroed with probability p and the others divided by 1 − p; seed i32 [1] is given anew per step. */
export const dropout = (x: Tensor, seed: Tensor, p: number, salt: number): Tensor =>
  p === 0 ? x : apply(dropoutOp, [x, seed], { p, salt });
