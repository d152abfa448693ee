import type { Tensor } from '../graph.ts';
import { applyAll, outputOf } from '../graph.ts';
import type { Op, Sample } from '../op.ts';
import { f32 } from '../shape.ts';
import { basePairs, defined, expectSize, expectType, one } from './inputs.ts';

interface NormAttrs {
  readonly [key: string]: number;
  readonly eps: number;
}

interface NormGradAttrs {
  readonly [key: string]: readonly number[];
  /** Outputs that are added onto one of the last inputs. */
  readonly accumulate: readonly number[];
}

const samples = (vectors: number): Sample<NormAttrs>[] => [
  {
    attrs: { eps: 1e-5 },
    inputs: [{ shape: [7, 13] }, ...Array.from({ length: vectors }, () => ({ shape: [13] }))],
  },
  {
    attrs: { eps: 1e-5 },
    inputs: [
      { shape: [40, 64], rows: 'tokens' },
      ...Array.from({ length: vectors }, () => ({ shape: [64] })),
    ],
    counts: { tokens: 37 },
  },
];

/** Samples of a gradient on its own: x, weight, what each row's statistics are, dy, and what outputs are added onto. */
const gradSamples = (inputs: 4 | 5, accumulate: readonly number[]): Sample<NormGradAttrs>[] => {
  const x = { shape: [9, 21], rows: 'tokens' };
  const perRow = { shape: [9], rows: 'tokens', positive: true };
  const statistics = Array.from({ length: inputs - 3 }, () => perRow);
  return [
    {
      attrs: { accumulate },
      inputs: [
        x,
        { shape: [21] },
        ...statistics,
        x,
        ...accumulate.map((o) => (o === 0 ? x : { shape: [21] })),
      ],
      counts: { tokens: 7 },
    },
  ];
};

export const layerNormOp: Op<NormAttrs> = {
  name: 'layerNorm',
  cheap: true,
  shape([x, weight, bias]) {
    const t = expectType('layerNorm', 'x', x, 'f32', 2);
    for (const [name, v] of [
      ['weight', weight],
      ['bias', bias],
    ] as const)
      expectSize(
        'layerNorm',
        `sizes of ${name} and a row`,
        expectType('layerNorm', name, v, 'f32', 1).shape[0],
        t.shape[1],
      );
    const perRow = f32([t.shape[0] ?? 0], t.rows);
    return [t, perRow, perRow];
  },
  gradient({ inputs: [x, weight], outputs: [, mean, rstd], grads: [dy] }) {
    if (!x || !weight || !mean || !rstd || !dy) return [];
    return applyAll(layerNormGradOp, [x, weight, mean, rstd, dy], { accumulate: [] });
  },
  define([x, weight, bias], [y, mean, rstd], { eps }) {
    const [X, W, B, Y, M, R] = [one(x), one(weight), one(bias), one(y), one(mean), one(rstd)];
    const C = X.shape[1] ?? 0;
    for (let t = 0; t < (X.shape[0] ?? 0); t++) {
      const row = X.data.subarray(t * C, (t + 1) * C);
      const m = row.reduce((s, v) => s + v, 0) / C;
      const r = 1 / Math.sqrt(row.reduce((s, v) => s + (v - m) ** 2, 0) / C + eps);
      M.data[t] = m;
      R.data[t] = r;
      row.forEach((v, c) => (Y.data[t * C + c] = (v - m) * r * (W.data[c] ?? 0) + (B.data[c] ?? 0)));
    }
  },
  samples: samples(2),
};

/** (x, weight, mean, rstd, dy) → dx, dWeight, dBias. */
export const layerNormGradOp: Op<NormGradAttrs> = {
  name: 'layerNormGrad',
  accumulates: [0, 1, 2],
  shape([x, weight]) {
    const t = expectType('layerNormGrad', 'x', x, 'f32', 2);
    const w = expectType('layerNormGrad', 'weight', weight, 'f32', 1);
    return [t, w, w];
  },
  define([x, weight, mean, rstd, dy], [dx, dWeight, dBias]) {
    const [X, W, M, R, G] = [one(x), one(weight), one(mean), one(rstd), one(dy)];
    const [dX, dW, dB] = [one(dx), one(dWeight), one(dBias)];
    const C = X.shape[1] ?? 0;
    for (let t = 0; t < (X.shape[0] ?? 0); t++) {
      const [m, r] = [M.data[t] ?? 0, R.data[t] ?? 0];
      const hat = (c: number) => ((X.data[t * C + c] ?? 0) - m) * r;
      const g = (c: number) => (G.data[t * C + c] ?? 0) * (W.data[c] ?? 0);
      let [sumG, sumGHat] = [0, 0];
      for (let c = 0; c < C; c++) {
        sumG += g(c);
        sumGHat += g(c) * hat(c);
        dW.data[c] = (dW.data[c] ?? 0) + (G.data[t * C + c] ?? 0) * hat(c);
        dB.data[c] = (dB.data[c] ?? 0) + (G.data[t * C + c] ?? 0);
      }
      for (let c = 0; c < C; c++) dX.data[t * C + c] = r * (g(c) - sumG / C - (hat(c) * sumGHat) / C);
    }
  },
  inPlace: ({ accumulate }, inputs) => [...basePairs(inputs.length, accumulate), [4, 0]],
  samples: gradSamples(5, [0, 1, 2]),
};

/** (x − mean) / √(variance + eps) · weight + bias for each row of x [T, C]. */
export const layerNorm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor =>
  outputOf(applyAll(layerNormOp, [x, weight, bias], { eps }), 0);

export const rmsNormOp: Op<NormAttrs> = {
  name: 'rmsNorm',
  cheap: true,
  shape([x, weight]) {
    const t = defined('rmsNorm', x);
    expectSize(
      'rmsNorm',
      "sizes of weight and x's last dimension",
      expectType('rmsNorm', 'weight', weight, 'f32', 1).shape[0],
      t.shape[t.shape.length - 1],
    );
    return [t, f32(t.shape.slice(0, -1), t.rows)];
  },
  gradient({ inputs: [x, weight], outputs: [, rstd], grads: [dy] }) {
    if (!x || !weight || !rstd || !dy) return [];
    return applyAll(rmsNormGradOp, [x, weight, rstd, dy], { accumulate: [] });
  },
  define([x, weight], [y, rstd], { eps }) {
    const [X, W, Y, R] = [one(x), one(weight), one(y), one(rstd)];
    const C = W.data.length;
    for (let t = 0; t < R.data.length; t++) {
      const row = X.data.subarray(t * C, (t + 1) * C);
      const r = 1 / Math.sqrt(row.reduce((s, v) => s + v * v, 0) / C + eps);
      R.data[t] = r;
      row.forEach((v, c) => (Y.data[t * C + c] = v * r * (W.data[c] ?? 0)));
    }
  },
  samples: [
    ...samples(1),
    {
      attrs: { eps: 1e-5 },
      inputs: [{ shape: [40, 3, 10], rows: 'tokens' }, { shape: [10] }],
      counts: { tokens: 37 },
    },
  ],
};

/** (x, weight, rstd, dy) → dx, dWeight. */
export const rmsNormGradOp: Op<NormGradAttrs> = {
  name: 'rmsNormGrad',
  accumulates: [0, 1],
  shape([x, weight]) {
    return [defined('rmsNormGrad', x), expectType('rmsNormGrad', 'weight', weight, 'f32', 1)];
  },
  define([x, weight, rstd, dy], [dx, dWeight]) {
    const [X, W, R, G, dX, dW] = [one(x), one(weight), one(rstd), one(dy), one(dx), one(dWeight)];
    const C = W.data.length;
    for (let t = 0; t < R.data.length; t++) {
      const r = R.data[t] ?? 0;
      let total = 0;
      for (let c = 0; c < C; c++) {
        const hat = (X.data[t * C + c] ?? 0) * r;
        total += (G.data[t * C + c] ?? 0) * (W.data[c] ?? 0) * hat;
        dW.data[c] = (dW.data[c] ?? 0) + (G.data[t * C + c] ?? 0) * hat;
      }
      for (let c = 0; c < C; c++) {
        const hat = (X.data[t * C + c] ?? 0) * r;
        dX.data[t * C + c] = r * ((G.data[t * C + c] ?? 0) * (W.data[c] ?? 0) - (hat * total) / C);
      }
    }
  },
  inPlace: ({ accumulate }, inputs) => [...basePairs(inputs.length, accumulate), [3, 0]],
  samples: gradSamples(4, [1]),
};

/** x / √(mean(x²) + eps) · weight along the last dimension of x [T, C], or [T, heads, headDim]. */
export const rmsNorm = (x: Tensor, weight: Tensor, eps: number): Tensor =>
  outputOf(applyAll(rmsNormOp, [x, weight], { eps }), 0);
