import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply, applyAll } from '../graph.ts';
import type { Op, SampleInput } from '../op.ts';
import { f32, format } from '../shape.ts';
import { baseOf, basePairs, expectSize, expectType, one } from './inputs.ts';
import { reshape } from './layout.ts';
import { sum } from './reduce.ts';
import { weightGradOp } from './weightGrad.ts';

export interface MatmulAttrs {
  readonly [key: string]: boolean | readonly number[];
  /** a is given as [K, M]. */
  readonly transposeA: boolean;
  /** b is given as [N, K], as PyTorch's Linear keeps it. */
  readonly transposeB: boolean;
  /** The third input is a bias [N]. */
  readonly bias: boolean;
  /** `[0]`: the last input [M, N] is added to the product. */
  readonly accumulate: readonly number[];
}

const plain: MatmulAttrs = { transposeA: false, transposeB: false, bias: false, accumulate: [] };

export const matmulOp: Op<MatmulAttrs> = {
  name: 'matmul',
  accumulates: [0],
  unpacks: [1],
  shape(inputs, { transposeA, transposeB, bias, accumulate }) {
    const [a, b, biasType] = inputs;
    const x = expectType('matmul', 'a', a, 'f32', 2);
    const y = expectType('matmul', 'b', b, 'f32', 2);
    const [k, m] = transposeA ? [x.shape[0], x.shape[1]] : [x.shape[1], x.shape[0]];
    const [n, k2] = transposeB ? [y.shape[0], y.shape[1]] : [y.shape[1], y.shape[0]];
    if (k !== k2)
      throw new ShapeError(
        `matmul: inner sizes differ, got ${format(x)}${transposeA ? 'ᵀ' : ''} × ${format(y)}${transposeB ? 'ᵀ' : ''}; transpose the second operand?`,
      );
    if (
      (y.rows !== undefined || (transposeA && x.rows !== undefined)) &&
      (!transposeA || transposeB || x.rows !== y.rows)
    )
      throw new ShapeError(
        `matmul: counted rows may be the first operand's, or those summed over by xᵀ·y; got ${format(x)} × ${format(y)}`,
      );
    if (bias)
      expectSize(
        'matmul',
        'sizes of the bias and the product',
        expectType('matmul', 'bias', biasType, 'f32', 1).shape[0],
        n,
      );
    const result = f32([m ?? 0, n ?? 0], transposeA ? undefined : x.rows);
    const base = baseOf(inputs, accumulate, 0);
    if (base && format(base) !== format(result))
      throw new ShapeError(`matmul: ${format(base)} cannot be added to a product of ${format(result)}`);
    return [result];
  },
  gradient({ inputs: [a, b], attrs: { transposeA, transposeB, bias }, grads: [dy] }) {
    if (!a || !b || !dy) return [];
    const da = transposeA ? product(b, dy, transposeB, true) : product(dy, b, false, !transposeB);
    if (bias && !transposeA)
      return [da, ...applyAll(weightGradOp, [a, dy], { transposed: transposeB, accumulate: [] })];
    const db = transposeB ? product(dy, a, true, transposeA) : product(a, dy, !transposeA, false);
    return [da, db, ...(bias ? [sum(dy, 0)] : [])];
  },
  define([a, b, biases], [y], { transposeA, transposeB, bias }) {
    const [x, z, to] = [one(a), one(b), one(y)];
    const [m, n] = [to.shape[0] ?? 0, to.shape[1] ?? 0];
    const k = x.shape[transposeA ? 0 : 1] ?? 0;
    const [xi, xk] = transposeA ? [1, m] : [k, 1];
    const [zj, zk] = transposeB ? [k, 1] : [1, n];
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let total = bias ? (biases?.data[j] ?? 0) : 0;
        for (let p = 0; p < k; p++) total += (x.data[i * xi + p * xk] ?? 0) * (z.data[j * zj + p * zk] ?? 0);
        to.data[i * n + j] = total;
      }
  },
  inPlace: ({ accumulate }, inputs) => basePairs(inputs.length, accumulate),
  samples: [
    ...[
      [1, 1, 1],
      [7, 5, 3],
      [13, 17, 9],
      [48, 64, 40],
      [101, 67, 259],
    ].flatMap(([m = 1, n = 1, k = 1]) => [
      { attrs: plain, inputs: [{ shape: [m, k] }, { shape: [k, n] }] },
      {
        attrs: { ...plain, transposeB: true, bias: true },
        inputs: [{ shape: [m, k] }, { shape: [n, k] }, { shape: [n] }],
      },
      {
        attrs: { ...plain, transposeA: true, accumulate: [0] },
        inputs: [{ shape: [k, m] }, { shape: [k, n] }, { shape: [m, n] }],
      },
    ]),
    {
      attrs: { ...plain, transposeA: true, transposeB: true },
      inputs: [{ shape: [5, 9] }, { shape: [12, 5] }],
    },
    {
      attrs: { ...plain, transposeB: true, bias: true, accumulate: [0] },
      inputs: counted(
        [{ shape: [20, 24] }, { shape: [16, 24] }, { shape: [16] }, { shape: [20, 16] }],
        [0, 3],
      ),
      counts: { tokens: 11 },
    },
    {
      attrs: { ...plain, transposeA: true },
      inputs: counted([{ shape: [20, 8] }, { shape: [20, 24] }], [0, 1]),
      counts: { tokens: 11 },
    },
  ],
};

function counted(inputs: SampleInput[], which: number[]): SampleInput[] {
  return inputs.map((s, i) => (which.includes(i) ? { ...s, rows: 'tokens' } : s));
}

/** a · b for a [M, K], b [K, N]; either given transposed. */
export const product = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor =>
  apply(matmulOp, [a, b], { ...plain, transposeA, transposeB });

/** a [M, K] · b [K, N] → [M, N]. */
export const matmul = (a: Tensor, b: Tensor): Tensor => product(a, b);

/** x [T, K] · weightᵀ + bias for weight [N, K] (PyTorch's Linear) → [T, N]. */
export const linear = (x: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  apply(matmulOp, bias ? [x, weight, bias] : [x, weight], {
    ...plain,
    transposeB: true,
    bias: bias !== undefined,
  });

/** x [T, K] · weight + bias for weight [K, N] (GPT-2's Conv1D) → [T, N]. */
export const conv1d = (x: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  apply(matmulOp, bias ? [x, weight, bias] : [x, weight], { ...plain, bias: bias !== undefined });

/** Σ a·b of two vectors [K] → []. */
export const dot = (a: Tensor, b: Tensor): Tensor =>
  reshape(matmul(reshape(a, [1, a.shape[0] ?? 0]), reshape(b, [b.shape[0] ?? 0, 1])), []);
