import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op, Value } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32, format } from '../shape.ts';
import { basePairs, defined, expectRows, expectType, one } from './inputs.ts';

type NoAttrs = Record<string, never>;

/** Elements of one row. */
const widthOf = (value: Value): number => value.shape.slice(1).reduce((n, d) => n * d, 1);

export const gatherRowsOp: Op<NoAttrs> = {
  name: 'gatherRows',
  unpacks: [0],
  shape([x, index]) {
    const table = defined('gatherRows', x);
    const rows = expectType('gatherRows', 'index', index, 'i32', 1);
    return [f32([rows.shape[0] ?? 0, ...table.shape.slice(1)], rows.rows)];
  },
  gradient: ({ inputs: [x, index], grads: [dy] }) => [
    dy && x && index && scatterAddRows(dy, index, x.type),
    undefined,
  ],
  define([x, index], [y]) {
    const [from, rows, to] = [one(x), one(index), one(y)];
    const width = widthOf(from);
    rows.data.forEach((r, i) => to.data.set(from.data.subarray(r * width, (r + 1) * width), i * width));
  },
  samples: [
    { attrs: {}, inputs: [{ shape: [11, 6] }, { shape: [9], int: 11 }] },
    { attrs: {}, inputs: [{ shape: [5] }, { shape: [8], int: 4, rows: 'heads' }], counts: { heads: 7 } },
    {
      attrs: {},
      inputs: [
        { shape: [6, 13], rows: 'tokens' },
        { shape: [8], int: 4, rows: 'heads' },
      ],
      counts: { heads: 7, tokens: 4 },
    },
  ],
};

/** y[i] = x[index[i]]: x [N, …], index i32 [M] → [M, …]. An embedding is this with x the table. */
export const gatherRows = (x: Tensor, index: Tensor): Tensor => apply(gatherRowsOp, [x, index], {});

interface ScatterAttrs {
  readonly [key: string]: number | string | readonly number[] | undefined;
  /** Capacity of the result's first dimension, and the name of its count. */
  readonly length: number;
  readonly rows?: string | undefined;
  readonly accumulate: readonly number[];
}

export const scatterAddRowsOp: Op<ScatterAttrs> = {
  name: 'scatterAddRows',
  accumulates: [0],
  shape([x, index], { length, rows }) {
    const from = defined('scatterAddRows', x);
    expectRows('scatterAddRows', from, expectType('scatterAddRows', 'index', index, 'i32', 1));
    return [f32([length, ...from.shape.slice(1)], rows)];
  },
  gradient({ inputs: [, index], grads: [dy] }) {
    return [dy && index && gatherRows(dy, index), undefined];
  },
  define([x, index], [y]) {
    const [from, rows, to] = [one(x), one(index), one(y)];
    const width = widthOf(from);
    rows.data.forEach((r, i) => {
      for (let c = 0; c < width; c++)
        to.data[r * width + c] = (to.data[r * width + c] ?? 0) + (from.data[i * width + c] ?? 0);
    });
  },
  inPlace: ({ accumulate }, inputs) => basePairs(inputs.length, accumulate),
  samples: [
    { attrs: { length: 11, accumulate: [] }, inputs: [{ shape: [9, 6] }, { shape: [9], int: 11 }] },
    {
      attrs: { length: 7, accumulate: [0] },
      inputs: [{ shape: [9, 6], rows: 'tokens' }, { shape: [9], int: 7, rows: 'tokens' }, { shape: [7, 6] }],
      counts: { tokens: 5 },
    },
    {
      attrs: { length: 4, rows: 'pairs', accumulate: [] },
      inputs: [
        { shape: [9], rows: 'heads' },
        { shape: [9], int: 3, rows: 'heads' },
      ],
      counts: { heads: 8, pairs: 3 },
    },
  ],
};

/** y[index[i]] += x[i]: x [M, …], index i32 [M] → a tensor of `type` [N, …]. Sums values by group, too. */
export const scatterAddRows = (x: Tensor, index: Tensor, type: TensorType): Tensor =>
  apply(scatterAddRowsOp, [x, index], { length: type.shape[0] ?? 0, rows: type.rows, accumulate: [] });

export const updateRowsOp: Op<NoAttrs> = {
  name: 'updateRows',
  shape([base, index, x]) {
    const table = defined('updateRows', base);
    const from = defined('updateRows', x);
    expectRows('updateRows', from, expectType('updateRows', 'index', index, 'i32', 1));
    if (from.shape.slice(1).join() !== table.shape.slice(1).join())
      throw new ShapeError(`updateRows: rows of ${format(from)} do not fit into ${format(table)}`);
    return [table];
  },
  define([base, index, x], [y]) {
    const [table, rows, from, to] = [one(base), one(index), one(x), one(y)];
    to.data.set(table.data);
    const width = widthOf(from);
    rows.data.forEach((r, i) => to.data.set(from.data.subarray(i * width, (i + 1) * width), r * width));
  },
  inPlace: () => [[0, 0]],
  samples: [
    {
      attrs: {},
      inputs: [
        { shape: [7, 6] },
        { shape: [4], dtype: 'i32', values: [6, 0, 2, 5], rows: 'tokens' },
        { shape: [4, 6], rows: 'tokens' },
      ],
      counts: { tokens: 3 },
    },
  ],
};

/** `base` with row index[i] replaced by x[i]; rows of `index` must differ. How a KV cache grows. */
export const updateRows = (base: Tensor, index: Tensor, x: Tensor): Tensor =>
  apply(updateRowsOp, [base, index, x], {});
