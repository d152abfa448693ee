import type { Op } from '../op.ts';
import { f32 } from '../shape.ts';
import { basePairs, expectRows, expectType, one } from './inputs.ts';

interface WeightGradAttrs {
  readonly [key: string]: boolean | readonly number[];
  /** The weight is [N, K], as PyTorch's Linear keeps it, else [K, N]. */
  readonly transposed: boolean;
  /** Outputs that are added onto one of the last inputs. */
  readonly accumulate: readonly number[];
}

/** Gradients of y = x · weight + bias: (x [T, K], dy [T, N]) → dWeight = xᵀ · dy or its transpose, dBias [N] = Σ dy. */
export const weightGradOp: Op<WeightGradAttrs> = {
  name: 'weightGrad',
  accumulates: [0, 1],
  shape([x, dy], { transposed }) {
    const [a, b] = [expectType('weightGrad', 'x', x, 'f32', 2), expectType('weightGrad', 'dy', dy, 'f32', 2)];
    expectRows('weightGrad', a, b);
    const [k, n] = [a.shape[1] ?? 0, b.shape[1] ?? 0];
    return [f32(transposed ? [n, k] : [k, n]), f32([n])];
  },
  define([x, dy], [dWeight, dBias], { transposed }) {
    const [X, G, dW, dB] = [one(x), one(dy), one(dWeight), one(dBias)];
    const [T = 0, K = 0] = X.shape;
    const N = dB.data.length;
    for (let t = 0; t < T; t++)
      for (let n = 0; n < N; n++) {
        const g = G.data[t * N + n] ?? 0;
        dB.data[n] = (dB.data[n] ?? 0) + g;
        for (let k = 0; k < K; k++) {
          const at = transposed ? n * K + k : k * N + n;
          dW.data[at] = (dW.data[at] ?? 0) + (X.data[t * K + k] ?? 0) * g;
        }
      }
  },
  inPlace: ({ accumulate }, inputs) => basePairs(inputs.length, accumulate),
  samples: [
    { attrs: { transposed: false, accumulate: [] }, inputs: [{ shape: [7, 5] }, { shape: [7, 3] }] },
    {
      attrs: { transposed: true, accumulate: [1, 0] },
      inputs: [
        { shape: [23, 13], rows: 'tokens' },
        { shape: [23, 70], rows: 'tokens' },
        { shape: [70] },
        { shape: [70, 13] },
      ],
      counts: { tokens: 21 },
    },
    {
      attrs: { transposed: false, accumulate: [0, 1] },
      inputs: [
        { shape: [40, 66], rows: 'tokens' },
        { shape: [40, 12], rows: 'tokens' },
        { shape: [66, 12] },
        { shape: [12] },
      ],
      counts: { tokens: 33 },
    },
  ],
};
