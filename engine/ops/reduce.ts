import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op, Value } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32, format, sameShape, sizeOf, stridesOf } from '../shape.ts';
import { defined, one } from './inputs.ts';
import { forEachIndex, reshape } from './layout.ts';

interface ReduceAttrs {
  readonly [key: string]: number | boolean;
  /** The reduced axes are from..to-1; they stay as 1. */
  readonly from: number;
  readonly to: number;
  readonly mean: boolean;
}

/** Sum, or mean over the true rows, of a block of neighbouring axes, each kept as size 1. */
export const reduceOp: Op<ReduceAttrs> = {
  name: 'reduce',
  shape([x], { from, to }) {
    const type = defined('reduce', x);
    if (from < 0 || to > type.shape.length || from >= to)
      throw new ShapeError(`reduce: axes ${from} to ${to - 1} are not all there in ${format(type)}`);
    const shape = type.shape.map((d, i) => (i >= from && i < to ? 1 : d));
    return [f32(shape, from === 0 ? undefined : type.rows)];
  },
  gradient: ({ inputs: [x], attrs, grads: [dy] }) => [dy && x && spread(dy, x.type, attrs.mean)],
  define([x], [y], attrs) {
    const from = one(x);
    const to = one(y);
    forEachIndex(from.shape, (index, flat) => {
      const at = broadcastOffset(index, to);
      to.data[at] = (to.data[at] ?? 0) + (from.data[flat] ?? 0);
    });
    if (attrs.mean) to.data.forEach((v, i) => (to.data[i] = (v * to.data.length) / from.data.length));
  },
  samples: [
    { attrs: { from: 0, to: 1, mean: false }, inputs: [{ shape: [37, 5] }] },
    { attrs: { from: 0, to: 2, mean: false }, inputs: [{ shape: [67, 63] }] },
    { attrs: { from: 0, to: 1, mean: true }, inputs: [{ shape: [9], rows: 'pairs' }], counts: { pairs: 7 } },
    { attrs: { from: 1, to: 2, mean: false }, inputs: [{ shape: [5, 6, 7] }] },
    {
      attrs: { from: 1, to: 2, mean: true },
      inputs: [{ shape: [6, 130], rows: 'tokens' }],
      counts: { tokens: 1 },
    },
  ],
};

interface SpreadAttrs {
  readonly [key: string]: number | boolean | string | readonly number[] | undefined;
  readonly shape: readonly number[];
  readonly rows?: string | undefined;
  readonly mean: boolean;
}

/** Broadcasting as an op of its own; with `mean`, divided by how often each number is repeated. */
export const spreadOp: Op<SpreadAttrs> = {
  name: 'spread',
  shape([x], { shape, rows }) {
    const type = defined('spread', x);
    const lead = shape.length - type.shape.length;
    if (lead < 0 || type.shape.some((d, i) => d !== 1 && d !== shape[lead + i]))
      throw new ShapeError(`spread: ${format(type)} does not broadcast to ${format(f32(shape, rows))}`);
    return [f32(shape, rows)];
  },
  gradient({ inputs: [x], attrs, grads: [dy] }) {
    if (!dy || !x || attrs.mean)
      throw new ShapeError('spread: a gradient of a mean is not differentiated again');
    return [sumTo(dy, x.type)];
  },
  define([x], [y], attrs) {
    const from = one(x);
    const to = one(y);
    const scale = attrs.mean ? from.data.length / to.data.length : 1;
    const lead = to.shape.length - from.shape.length;
    forEachIndex(to.shape, (index, flat) => {
      to.data[flat] = (from.data[broadcastOffset(index.slice(lead), from)] ?? 0) * scale;
    });
  },
  samples: [
    { attrs: { shape: [5, 7], mean: false }, inputs: [{ shape: [7] }] },
    {
      attrs: { shape: [6, 7], rows: 'tokens', mean: false },
      inputs: [{ shape: [6, 1], rows: 'tokens' }],
      counts: { tokens: 5 },
    },
    { attrs: { shape: [3, 4, 5], mean: false }, inputs: [{ shape: [1, 4, 1] }] },
  ],
};

function broadcastOffset(index: readonly number[], value: Value): number {
  const strides = stridesOf(value.shape);
  let at = 0;
  value.shape.forEach((d, i) => (at += d === 1 ? 0 : (index[i] ?? 0) * (strides[i] ?? 0)));
  return at;
}

/** Repeats `x` to the given type. */
export const spread = (x: Tensor, type: TensorType, ofMean = false): Tensor =>
  apply(spreadOp, [x], { shape: type.shape, rows: type.rows, mean: ofMean });

function reduceAll(x: Tensor, ofMean: boolean): Tensor {
  return reshape(apply(reduceOp, [x], { from: 0, to: x.shape.length, mean: ofMean }), []);
}

/** Sum of all elements, shape []; over one axis where it is given, which is dropped. */
export function sum(x: Tensor, axis?: number): Tensor {
  return axis === undefined ? reduceAll(x, false) : reduceAxis(x, axis, false);
}

/** Mean of all elements of the true rows, shape []; over one axis where it is given, which is dropped. */
export function mean(x: Tensor, axis?: number): Tensor {
  return axis === undefined ? reduceAll(x, true) : reduceAxis(x, axis, true);
}

function reduceAxis(x: Tensor, axis: number, asMean: boolean): Tensor {
  const from = axis < 0 ? axis + x.shape.length : axis;
  const kept = apply(reduceOp, [x], { from, to: from + 1, mean: asMean });
  return reshape(
    kept,
    x.shape.filter((_, i) => i !== from),
  );
}

/** Sums a gradient back to the type that was broadcast. */
export function sumTo(dy: Tensor, type: TensorType): Tensor {
  // A first dimension that counts rows is summed even where its capacity is 1: no row may be there.
  const countsRows = dy.rows !== undefined && type.rows === undefined;
  if (sameShape(dy.shape, type.shape) && !countsRows) return dy;
  let x = dy;
  const lead = dy.shape.length - type.shape.length;
  const target = [...new Array<number>(lead).fill(1), ...type.shape];
  for (let from = 0; from < target.length; from++) {
    if (target[from] !== 1 || (x.shape[from] === 1 && !(countsRows && from === 0))) continue;
    let to = from + 1;
    while (to < target.length && target[to] === 1 && x.shape[to] !== 1) to++;
    x = apply(reduceOp, [x], { from, to, mean: false });
  }
  return sizeOf(x.shape) === sizeOf(type.shape) ? reshape(x, type.shape) : x;
}
