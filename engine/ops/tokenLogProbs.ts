import type { Tensor } from '../graph.ts';
import { apply, applyAll, outputOf } from '../graph.ts';
import { PrefgradError, ShapeError } from '../errors.ts';
import type { Op, Value } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32, format } from '../shape.ts';
import { basePairs, expectRows, expectSize, expectType, one } from './inputs.ts';

type NoAttrs = Record<string, never>;

interface LogProbAttrs {
  readonly [key: string]: boolean;
  /** Whether an output [N, 4] is computed: STATISTICS of each row. */
  readonly statistics: boolean;
  /** Whether the last output is the logits, kept for the gradient. */
  readonly keepLogits: boolean;
}

export interface LogProbOptions {
  /** The gradient finds the logits [N, V] in memory, instead of computing them again. Default false. */
  readonly keepLogits?: boolean;
}

/** Columns of tokenLogProbs' statistics: Σp², the entropy, the mean logit, and 1 where the label is the arg max. */
export const STATISTICS = ['sumSquares', 'entropy', 'meanLogit', 'correct'] as const;

function headShape(
  name: string,
  [hidden, weight, labels]: readonly TensorType[],
): { rows: TensorType; weight: TensorType } {
  const rows = expectType(name, 'hidden', hidden, 'f32', 2);
  const w = expectType(name, 'weight', weight, 'f32', 2);
  expectSize(name, 'widths of hidden and weight', rows.shape[1], w.shape[1]);
  expectRows(name, rows, expectType(name, 'labels', labels, 'i32', 1));
  return { rows, weight: w };
}

/** Memory of the logits of N rows: entries of the vocabulary by rows, as each backend likes to lay them out in it. */
const logitsType = (rows: TensorType, weight: TensorType): TensorType =>
  f32([weight.shape[0] ?? 0, 16 * Math.ceil((rows.shape[0] ?? 0) / 16)]);

/** Logits of one row of hidden. */
function logitsOf(hidden: Value, weight: Value, row: number): number[] {
  const C = hidden.shape[1] ?? 0;
  return Array.from({ length: weight.shape[0] ?? 0 }, (_, v) => {
    let total = 0;
    for (let c = 0; c < C; c++) total += (hidden.data[row * C + c] ?? 0) * (weight.data[v * C + c] ?? 0);
    return total;
  });
}

export const tokenLogProbsOp: Op<LogProbAttrs> = {
  name: 'tokenLogProbs',
  unpacks: [1],
  shape(inputs, { statistics, keepLogits }) {
    const { rows, weight } = headShape('tokenLogProbs', inputs);
    const n = rows.shape[0] ?? 0;
    const perRow = f32([n], rows.rows);
    return [
      ...[perRow, perRow],
      ...(statistics ? [f32([n, STATISTICS.length], rows.rows)] : []),
      ...(keepLogits ? [logitsType(rows, weight)] : []),
    ];
  },
  internal: ({ statistics, keepLogits }) => (keepLogits ? [statistics ? 3 : 2] : []),
  gradient({
    inputs: [hidden, weight, labels],
    outputs: [, lse, ...more],
    grads: [dLogp, ...others],
    attrs: { keepLogits },
    wanted,
  }) {
    if (others.some((d) => d !== undefined))
      throw new PrefgradError(
        'tokenLogProbs: only the log-probs are differentiated; detach lse and statistics',
      );
    if (!hidden || !weight || !labels || !lse || !dLogp) return [];
    const logits = keepLogits ? more.slice(-1) : [];
    const gradients = applyAll(tokenLogProbsGradOp, [hidden, weight, labels, lse, dLogp, ...logits], {
      ...{ accumulate: [], frozen: !wanted[1], keepLogits },
    });
    return gradients.slice(0, wanted[1] ? 2 : 1);
  },
  define([hidden, weight, labels], [logp, lse, ...more], { statistics: wanted, keepLogits }) {
    const [H, W, Y] = [one(hidden), one(weight), one(labels)];
    const [statistics, kept] = [wanted ? more[0] : undefined, keepLogits ? more.at(-1) : undefined];
    for (let i = 0; i < (H.shape[0] ?? 0); i++) {
      const logits = logitsOf(H, W, i);
      if (kept) logits.forEach((x, v) => (kept.data[v * (kept.shape[1] ?? 0) + i] = x));
      const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
      const logSum = max + Math.log(logits.reduce((s, x) => s + Math.exp(x - max), 0));
      const label = logits[Y.data[i] ?? 0] ?? 0;
      one(lse).data[i] = logSum;
      one(logp).data[i] = label - logSum;
      if (!statistics) continue;
      const p = logits.map((x) => Math.exp(x - logSum));
      statistics.data.set(
        [
          p.reduce((s, x) => s + x * x, 0),
          -p.reduce((s, x, v) => s + x * ((logits[v] ?? 0) - logSum), 0),
          logits.reduce((s, x) => s + x, 0) / logits.length,
          label >= max ? 1 : 0,
        ],
        i * STATISTICS.length,
      );
    }
  },
  samples: [
    {
      attrs: { statistics: false, keepLogits: false },
      inputs: [{ shape: [5, 12] }, { shape: [37, 12] }, { shape: [5], int: 37 }],
    },
    {
      attrs: { statistics: false, keepLogits: true },
      inputs: [
        { shape: [19, 12], rows: 'heads' },
        { shape: [203, 12] },
        { shape: [19], int: 203, rows: 'heads' },
      ],
      counts: { heads: 18 },
    },
    {
      attrs: { statistics: true, keepLogits: false },
      inputs: [
        { shape: [21, 20], rows: 'heads' },
        { shape: [1101, 20] },
        { shape: [21], int: 1101, rows: 'heads' },
      ],
      counts: { heads: 17 },
    },
  ],
};

interface LogProbGradAttrs {
  readonly [key: string]: readonly number[] | boolean | undefined;
  /** No dWeight is computed. */
  readonly frozen?: boolean;
  /** The logits are an input, and their gradients the last output, which may take their place. */
  readonly keepLogits?: boolean;
  /** [1]: the last input [V, C] is added to dWeight. */
  readonly accumulate: readonly number[];
}

/**
 * (hidden, weight, labels, lse, dLogp, logits?, base?) → dHidden, and dWeight unless `frozen`. Without logits each chunk
 * of them is computed again.
 */
export const tokenLogProbsGradOp: Op<LogProbGradAttrs> = {
  name: 'tokenLogProbsGrad',
  accumulates: [1],
  unpacks: [1],
  shape(inputs, { frozen, keepLogits }) {
    const { rows, weight } = headShape('tokenLogProbsGrad', inputs);
    if (frozen !== true && weight.blocks)
      throw new ShapeError(`tokenLogProbs: weight ${format(weight)} is frozen; unpack it to train it`);
    const logits = keepLogits === true ? [logitsType(rows, weight)] : [];
    return frozen === true ? [rows, ...logits] : [rows, weight, ...logits];
  },
  define([hidden, weight, labels, lse, dLogp], [dHidden, second], { frozen }) {
    const [H, W, Y, L, G, dH] = [hidden, weight, labels, lse, dLogp, dHidden].map(one) as [
      ...[Value, Value, Value, Value, Value, Value],
    ];
    const dW = frozen === true ? undefined : second?.data;
    const C = H.shape[1] ?? 0;
    for (let i = 0; i < (H.shape[0] ?? 0); i++)
      logitsOf(H, W, i).forEach((x, v) => {
        const dLogit = (G.data[i] ?? 0) * ((v === Y.data[i] ? 1 : 0) - Math.exp(x - (L.data[i] ?? 0)));
        for (let c = 0; c < C; c++) {
          dH.data[i * C + c] = (dH.data[i * C + c] ?? 0) + dLogit * (W.data[v * C + c] ?? 0);
          if (dW) dW[v * C + c] = (dW[v * C + c] ?? 0) + dLogit * (H.data[i * C + c] ?? 0);
        }
      });
  },
  inPlace: ({ accumulate, frozen, keepLogits }, inputs) => [
    ...basePairs(inputs.length, accumulate),
    ...(keepLogits === true ? [[5, frozen === true ? 1 : 2] as const] : []),
  ],
  samples: [],
};

/**
 * log softmax(hidden · weightᵀ)[label] for each row, without the [N, V] matrix: hidden [N, C], weight [V, C],
 * labels i32 [N] → log-probs [N] in nats.
 */
export const tokenLogProbs = (
  hidden: Tensor,
  weight: Tensor,
  labels: Tensor,
  { keepLogits = false }: LogProbOptions = {},
): Tensor =>
  outputOf(applyAll(tokenLogProbsOp, [hidden, weight, labels], { statistics: false, keepLogits }), 0);

/** As tokenLogProbs, and the rows' statistics [N, 4] (STATISTICS), which no gradient reaches. */
export function tokenLogProbsWithStatistics(
  hidden: Tensor,
  weight: Tensor,
  labels: Tensor,
  { keepLogits = false }: LogProbOptions = {},
): { logps: Tensor; statistics: Tensor } {
  const outputs = applyAll(tokenLogProbsOp, [hidden, weight, labels], { statistics: true, keepLogits });
  return { logps: outputOf(outputs, 0), statistics: outputOf(outputs, 2) };
}

export const softmaxOp: Op<NoAttrs> = {
  name: 'softmax',
  shape: ([x]) => [expectType('softmax', 'x', x, 'f32', 2)],
  gradient: ({ outputs: [y], grads: [dy] }) => [y && dy && apply(softmaxGradOp, [y, dy], {})],
  define([x], [y]) {
    const [X, Y] = [one(x), one(y)];
    const n = X.shape[1] ?? 0;
    for (let i = 0; i < X.data.length; i += n) {
      const row = X.data.subarray(i, i + n);
      const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
      const total = row.reduce((s, v) => s + Math.exp(v - max), 0);
      row.forEach((v, j) => (Y.data[i + j] = Math.exp(v - max) / total));
    }
  },
  inPlace: () => [[0, 0]],
  samples: [{ attrs: {}, inputs: [{ shape: [9, 31], rows: 'tokens' }], counts: { tokens: 7 } }],
};

/** (y, dy) → dx. */
export const softmaxGradOp: Op<NoAttrs> = {
  name: 'softmaxGrad',
  shape: ([y]) => [expectType('softmaxGrad', 'y', y, 'f32', 2)],
  define([y, dy], [dx]) {
    const [Y, G, dX] = [one(y), one(dy), one(dx)];
    const n = Y.shape[1] ?? 0;
    for (let i = 0; i < Y.data.length; i += n) {
      let total = 0;
      for (let j = i; j < i + n; j++) total += (Y.data[j] ?? 0) * (G.data[j] ?? 0);
      for (let j = i; j < i + n; j++) dX.data[j] = (Y.data[j] ?? 0) * ((G.data[j] ?? 0) - total);
    }
  },
  inPlace: () => [[1, 0]],
  samples: [],
};

/** Softmax of each row of x [N, V]. */
export const softmax = (x: Tensor): Tensor => apply(softmaxOp, [x], {});
