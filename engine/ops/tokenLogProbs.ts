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
  /** Whether the third output, [N, 4], is computed: STATISTICS of each row. */
  readonly statistics: boolean;
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
  shape(inputs, { statistics }) {
    const { rows } = headShape('tokenLogProbs', inputs);
    const n = rows.shape[0] ?? 0;
    const perRow = f32([n], rows.rows);
    return [perRow, perRow, ...(statistics ? [f32([n, STATISTICS.length], rows.rows)] : [])];
  },
  gradient({
    inputs: [hidden, weight, labels],
    outputs: [, lse],
    grads: [dLogp, dLse, dStatistics],
    wanted,
  }) {
    if (dLse ?? dStatistics)
      throw new PrefgradError(
        'tokenLogProbs: only the log-probs are differentiated; detach lse and statistics',
      );
    if (!hidden || !weight || !labels || !lse || !dLogp) return [];
    return [
      ...applyAll(tokenLogProbsGradOp, [hidden, weight, labels, lse, dLogp], {
        accumulate: [],
        frozen: !wanted[1],
      }),
    ];
  },
  define([hidden, weight, labels], [logp, lse, statistics]) {
    const [H, W, Y] = [one(hidden), one(weight), one(labels)];
    for (let i = 0; i < (H.shape[0] ?? 0); i++) {
      const logits = logitsOf(H, W, i);
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
      attrs: { statistics: false },
      inputs: [{ shape: [5, 12] }, { shape: [37, 12] }, { shape: [5], int: 37 }],
    },
    {
      attrs: { statistics: true },
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
  /** [1]: the last input [V, C] is added to dWeight. */
  readonly accumulate: readonly number[];
}

/** (hidden, weight, labels, lse, dLogp, base?) → dHidden, and dWeight unless `frozen`; each chunk of logits is computed again. */
export const tokenLogProbsGradOp: Op<LogProbGradAttrs> = {
  name: 'tokenLogProbsGrad',
  accumulates: [1],
  unpacks: [1],
  shape(inputs, { frozen }) {
    const { rows, weight } = headShape('tokenLogProbsGrad', inputs);
    if (frozen !== true && weight.blocks)
      throw new ShapeError(`tokenLogProbs: weight ${format(weight)} is frozen; unpack it to train it`);
    return frozen === true ? [rows] : [rows, weight];
  },
  define([hidden, weight, labels, lse, dLogp], [dHidden, dWeight]) {
    const [H, W, Y, L, G, dH] = [hidden, weight, labels, lse, dLogp, dHidden].map(one) as [
      ...[Value, Value, Value, Value, Value, Value],
    ];
    const dW = dWeight?.data;
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
  inPlace: ({ accumulate }, inputs) => basePairs(inputs.length, accumulate),
  samples: [],
};

/**
 * log softmax(hidden · weightᵀ)[label] for each row, without the [N, V] matrix: hidden [N, C], weight [V, C],
 * labels i32 [N] → log-probs [N] in nats.
 */
export const tokenLogProbs = (hidden: Tensor, weight: Tensor, labels: Tensor): Tensor =>
  apply(tokenLogProbsOp, [hidden, weight, labels], { statistics: false });

/** As tokenLogProbs, and the rows' statistics [N, 4] (STATISTICS), which no gradient reaches. */
export function tokenLogProbsWithStatistics(
  hidden: Tensor,
  weight: Tensor,
  labels: Tensor,
): { logps: Tensor; statistics: Tensor } {
  const outputs = applyAll(tokenLogProbsOp, [hidden, weight, labels], { statistics: true });
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
