import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op } from '../op.ts';
import { expectSize, expectType, one } from './inputs.ts';

interface RopeAttrs {
  readonly [key: string]: number | boolean;
  readonly headDim: number;
  /** Rotate backwards: the gradient of the rotation. */
  readonly inverse: boolean;
}

export const ropeOp: Op<RopeAttrs> = {
  name: 'rope',
  shape([x, positions, cos, sin], { headDim }) {
    const t = expectType('rope', 'x', x, 'f32', 2);
    expectType('rope', 'positions', positions, 'i32', 1);
    expectSize('rope', 'width modulo headDim and zero', (t.shape[1] ?? 0) % headDim, 0);
    for (const table of [cos, sin])
      expectSize(
        'rope',
        'columns of the tables and headDim / 2',
        expectType('rope', 'table', table, 'f32', 2).shape[1],
        headDim / 2,
      );
    return [t];
  },
  gradient({ inputs: [, positions, cos, sin], attrs, grads: [dy] }) {
    if (!positions || !cos || !sin || !dy) return [];
    return [apply(ropeOp, [dy, positions, cos, sin], { ...attrs, inverse: !attrs.inverse })];
  },
  define([x, positions, cos, sin], [y], { headDim, inverse }) {
    const [X, P, C, S, Y] = [one(x), one(positions), one(cos), one(sin), one(y)];
    const width = X.shape[1] ?? 0;
    const half = headDim / 2;
    for (let t = 0; t < (X.shape[0] ?? 0); t++)
      for (let h = 0; h < width; h += headDim)
        for (let d = 0; d < half; d++) {
          const at = t * width + h + d;
          const angle = (P.data[t] ?? 0) * half + d;
          const c = C.data[angle] ?? 0;
          const s = (S.data[angle] ?? 0) * (inverse ? -1 : 1);
          const [a, b] = [X.data[at] ?? 0, X.data[at + half] ?? 0];
          Y.data[at] = a * c - b * s;
          Y.data[at + half] = b * c + a * s;
        }
  },
  inPlace: () => [[0, 0]],
  samples: [
    {
      attrs: { headDim: 8, inverse: false },
      inputs: [
        { shape: [9, 24], rows: 'tokens' },
        { shape: [9], int: 16, rows: 'tokens' },
        { shape: [16, 4] },
        { shape: [16, 4] },
      ],
      counts: { tokens: 7 },
    },
    {
      attrs: { headDim: 6, inverse: true },
      inputs: [{ shape: [5, 6] }, { shape: [5], int: 16 }, { shape: [16, 3] }, { shape: [16, 3] }],
    },
  ],
};

/**
 * Rotary position embedding, half-split pairs (d, d + headDim/2): x [T, H · headDim], positions i32 [T], tables of
 * cosines and sines [positions, headDim / 2]. The tables are constants to the gradient. (Su et al., arXiv 2104.09864)
 */
export const rope = (x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, headDim: number): Tensor =>
  apply(ropeOp, [x, positions, cos, sin], { headDim, inverse: false });
