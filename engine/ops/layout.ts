import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply, applyAll } from '../graph.ts';
import type { Op, Value } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32, format, sizeOf, stridesOf } from '../shape.ts';
import { defined, one } from './inputs.ts';

interface ReshapeAttrs {
  readonly [key: string]: readonly number[];
  readonly shape: readonly number[];
}

export const reshapeOp: Op<ReshapeAttrs> = {
  name: 'reshape',
  view: true,
  shape([x], { shape }) {
    const type = defined('reshape', x);
    if (sizeOf(shape) !== sizeOf(type.shape))
      throw new ShapeError(`reshape: ${format(type)} has not as many elements as [${shape.join(', ')}]`);
    if (type.rows !== undefined && shape[0] !== type.shape[0])
      throw new ShapeError(`reshape: the first dimension of ${format(type)} counts rows; keep it as it is`);
    return [{ ...type, shape }];
  },
  gradient: ({ inputs: [x], grads: [dy] }) => [dy && x && reshape(dy, x.shape)],
  define([x], [y]) {
    one(y).data.set(one(x).data);
  },
  samples: [
    { attrs: { shape: [3, 4] }, inputs: [{ shape: [2, 6] }] },
    { attrs: { shape: [6, 2, 2] }, inputs: [{ shape: [6, 4], rows: 'tokens' }], counts: { tokens: 5 } },
  ],
};

/** The same elements under another shape; a first dimension that counts rows stays. */
export const reshape = (x: Tensor, shape: readonly number[]): Tensor => apply(reshapeOp, [x], { shape });

interface TransposeAttrs {
  readonly [key: string]: readonly number[];
  readonly order: readonly number[];
}

export const transposeOp: Op<TransposeAttrs> = {
  name: 'transpose',
  shape([x], { order }) {
    const type = defined('transpose', x);
    if ([...order].sort((a, b) => a - b).some((d, i) => d !== i) || order.length !== type.shape.length)
      throw new ShapeError(`transpose: order [${order.join(', ')}] is no permutation of ${format(type)}`);
    if (type.rows !== undefined && order[0] !== 0)
      throw new ShapeError(
        `transpose: the first dimension of ${format(type)} counts rows and must stay first`,
      );
    return [{ ...type, shape: order.map((d) => type.shape[d] ?? 1) }];
  },
  gradient: ({ attrs: { order }, grads: [dy] }) => [
    dy &&
      transpose(
        dy,
        order.map((_, i) => order.indexOf(i)),
      ),
  ],
  define([x], [y], { order }) {
    const from = one(x);
    const to = one(y);
    const strides = stridesOf(from.shape);
    forEachIndex(to.shape, (index, flat) => {
      let at = 0;
      order.forEach((d, i) => (at += (index[i] ?? 0) * (strides[d] ?? 0)));
      to.data[flat] = from.data[at] ?? 0;
    });
  },
  samples: [
    { attrs: { order: [1, 0] }, inputs: [{ shape: [5, 7] }] },
    { attrs: { order: [2, 0, 1] }, inputs: [{ shape: [3, 2, 5] }] },
    { attrs: { order: [0, 2, 1] }, inputs: [{ shape: [6, 3, 2], rows: 'tokens' }], counts: { tokens: 4 } },
  ],
};

/** Dimensions in another order, e.g. transpose(x, [1, 0]). */
export const transpose = (x: Tensor, order: readonly number[]): Tensor => apply(transposeOp, [x], { order });

interface SplitAttrs {
  readonly [key: string]: readonly number[];
  readonly sizes: readonly number[];
}

export const splitOp: Op<SplitAttrs> = {
  name: 'split',
  shape([x], { sizes }) {
    const type = defined('split', x);
    const last = type.shape[type.shape.length - 1];
    if (type.shape.length < 2 || sizes.reduce((a, b) => a + b, 0) !== last)
      throw new ShapeError(
        `split: sizes [${sizes.join(', ')}] do not add up to the last dimension of ${format(type)}`,
      );
    return sizes.map((n) => ({ ...type, shape: [...type.shape.slice(0, -1), n] }));
  },
  gradient({ outputs, grads }) {
    return [concat(outputs.map((y, i) => grads[i] ?? zeros(y.type)))];
  },
  define([x], ys, { sizes }) {
    const from = one(x);
    copyColumns(sizes, ys, (part, i, at) => (part.data[i] = from.data[at] ?? 0));
  },
  samples: [
    { attrs: { sizes: [4, 4, 4] }, inputs: [{ shape: [5, 12] }] },
    { attrs: { sizes: [3, 1, 5] }, inputs: [{ shape: [6, 9], rows: 'tokens' }], counts: { tokens: 3 } },
    { attrs: { sizes: [2, 5] }, inputs: [{ shape: [6, 3, 7], rows: 'tokens' }], counts: { tokens: 4 } },
  ],
};

/** Cuts the last dimension into parts of the given sizes. */
export const split = (x: Tensor, sizes: readonly number[]): Tensor[] => applyAll(splitOp, [x], { sizes });

export const concatOp: Op<Record<string, never>> = {
  name: 'concat',
  shape(inputs) {
    const first = defined('concat', inputs[0]);
    const lead = (t: TensorType) => `${t.shape.slice(0, -1).join()} ${t.rows ?? ''}`;
    for (const t of inputs)
      if (t.shape.length < 2 || lead(t) !== lead(first))
        throw new ShapeError(
          `concat: all but the last dimension must agree, got ${inputs.map(format).join(' and ')}`,
        );
    const last = inputs.reduce((n, t) => n + (t.shape[t.shape.length - 1] ?? 0), 0);
    return [{ ...first, shape: [...first.shape.slice(0, -1), last] }];
  },
  gradient({ inputs, grads: [dy] }) {
    if (!dy) return [];
    return split(
      dy,
      inputs.map((t) => t.shape[t.shape.length - 1] ?? 0),
    );
  },
  define(xs, [y]) {
    const to = one(y);
    const sizes = xs.map((x) => x.shape[x.shape.length - 1] ?? 0);
    copyColumns(sizes, xs, (part, i, at) => (to.data[at] = part.data[i] ?? 0));
  },
  samples: [
    { attrs: {}, inputs: [{ shape: [5, 4] }, { shape: [5, 1] }, { shape: [5, 7] }] },
    {
      attrs: {},
      inputs: [
        { shape: [6, 3, 4], rows: 'tokens' },
        { shape: [6, 3, 2], rows: 'tokens' },
      ],
      counts: { tokens: 4 },
    },
  ],
};

/** Tensors side by side along the last dimension. */
export const concat = (tensors: readonly Tensor[]): Tensor => apply(concatOp, tensors, {});

interface FillAttrs {
  readonly [key: string]: readonly number[] | number | string | undefined;
  readonly shape: readonly number[];
  readonly rows?: string | undefined;
  readonly value: number;
}

export const fillOp: Op<FillAttrs> = {
  name: 'fill',
  shape: (_, { shape, rows }) => [f32(shape, rows)],
  define(_, [y], { value }) {
    one(y).data.fill(value);
  },
  samples: [{ attrs: { shape: [3, 5], value: 2.5 }, inputs: [] }],
};

/** A constant in every element. */
export const fill = (type: TensorType, value: number): Tensor =>
  apply(fillOp, [], { shape: type.shape, rows: type.rows, value });
export const zeros = (type: TensorType): Tensor => fill(type, 0);

/** Visits `parts` that lie side by side along the last dimension: element i of a part is element `at` of the whole. */
function copyColumns(
  sizes: readonly number[],
  parts: readonly Value[],
  visit: (part: Value, i: number, at: number) => void,
): void {
  const width = sizes.reduce((a, b) => a + b, 0);
  let start = 0;
  parts.forEach((part, p) => {
    const n = sizes[p] ?? 0;
    for (let i = 0; i < part.data.length; i++) visit(part, i, Math.floor(i / n) * width + start + (i % n));
    start += n;
  });
}

/** Calls `visit` with every index of a shape in row-major order. */
export function forEachIndex(
  shape: readonly number[],
  visit: (index: readonly number[], flat: number) => void,
): void {
  const index = new Array<number>(shape.length).fill(0);
  const total = sizeOf(shape);
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat);
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d] = (index[d] ?? 0) + 1;
      if ((index[d] ?? 0) < (shape[d] ?? 1)) break;
      index[d] = 0;
    }
  }
}
