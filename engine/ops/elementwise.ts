import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op, Sample } from '../op.ts';
import { broadcastTypes, f32 } from '../shape.ts';
import { defined, one } from './inputs.ts';
import { forEachIndex, reshape } from './layout.ts';
import { sumTo } from './reduce.ts';
import { stridesOf } from '../shape.ts';

type NoAttrs = Record<string, never>;

/** An op on each element: f(x), and dx from (x, y, dy). */
function unary(
  name: string,
  f: (x: number) => number,
  gradient: (x: Tensor, y: Tensor, dy: Tensor) => Tensor | undefined,
  positive = false,
): Op<NoAttrs> {
  return {
    name,
    shape([x]) {
      const type = defined(name, x);
      return [f32(type.shape, type.rows)];
    },
    gradient: ({ inputs: [x], outputs: [y], grads: [dy] }) => [dy && x && y && gradient(x, y, dy)],
    define([x], [y]) {
      const to = one(y).data;
      one(x).data.forEach((v, i) => (to[i] = f(v)));
    },
    inPlace: () => [[0, 0]],
    samples: [
      { attrs: {}, inputs: [{ shape: [7, 13], positive }] },
      { attrs: {}, inputs: [{ shape: [9, 4], rows: 'tokens', positive }], counts: { tokens: 5 } },
    ],
  };
}

const sigmoidOf = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

export const negOp = unary(
  'neg',
  (x) => -x,
  (_x, _y, dy) => neg(dy),
);
export const expOp = unary('exp', Math.exp, (_x, y, dy) => mul(dy, y));
export const logOp = unary('log', Math.log, (x, _y, dy) => div(dy, x), true);
export const sqrtOp = unary('sqrt', Math.sqrt, (_x, y, dy) => div(affine(dy, 0.5), y), true);
export const squareOp = unary(
  'square',
  (x) => x * x,
  (x, _y, dy) => mul(affine(dy, 2), x),
);
export const absOp = unary('abs', Math.abs, (x, _y, dy) => mul(dy, affine(greater(x, affine(x, 0)), 2, -1)));
export const reluOp = unary(
  'relu',
  (x) => Math.max(x, 0),
  (x, _y, dy) => mul(dy, greater(x, affine(x, 0))),
);
export const sigmoidOp = unary('sigmoid', sigmoidOf, (_x, y, dy) => mul(dy, mul(y, affine(y, -1, 1))));
export const tanhOp = unary('tanh', Math.tanh, (_x, y, dy) => mul(dy, affine(square(y), -1, 1)));
/** log σ(x) = −log(1 + e^−x), computed without overflow. */
export const logSigmoidOp = unary(
  'logSigmoid',
  (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
  (x, _y, dy) => mul(dy, sigmoid(neg(x))),
);

const of = (op: Op<NoAttrs>) => (x: Tensor) => apply(op, [x], {});
export const neg = of(negOp);
export const exp = of(expOp);
export const log = of(logOp);
export const sqrt = of(sqrtOp);
export const square = of(squareOp);
export const abs = of(absOp);
export const relu = of(reluOp);
export const sigmoid = of(sigmoidOp);
export const tanh = of(tanhOp);
export const logSigmoid = of(logSigmoidOp);

/** An op on two broadcast operands: f(a, b), and da, db before they are summed back to the operands' shapes. */
function binary(
  name: string,
  f: (a: number, b: number) => number,
  gradient: (a: Tensor, b: Tensor, y: Tensor, dy: Tensor) => (Tensor | undefined)[],
): Op<NoAttrs> {
  const inputs = (shapes: number[][], rows?: string): Sample<NoAttrs>['inputs'] =>
    shapes.map((shape) => ({
      shape,
      ...(rows !== undefined && shape[0] === 6 ? { rows } : {}),
      positive: name === 'div',
    }));
  return {
    name,
    shape: ([a, b]) => [broadcastTypes(name, defined(name, a), defined(name, b))],
    gradient({ inputs: [a, b], outputs: [y], grads: [dy] }) {
      if (!a || !b || !y || !dy) return [];
      const [da, db] = gradient(a, b, y, dy);
      return [da && sumTo(da, a.type), db && sumTo(db, b.type)];
    },
    define([a, b], [y]) {
      const [x, z, to] = [one(a), one(b), one(y)];
      const at = (value: typeof x, index: readonly number[]) => {
        const strides = stridesOf(value.shape);
        const lead = index.length - value.shape.length;
        return value.shape.reduce(
          (n, d, i) => n + (d === 1 ? 0 : (index[lead + i] ?? 0) * (strides[i] ?? 0)),
          0,
        );
      };
      forEachIndex(to.shape, (index, flat) => {
        to.data[flat] = f(x.data[at(x, index)] ?? 0, z.data[at(z, index)] ?? 0);
      });
    },
    inPlace: () => [
      [0, 0],
      [1, 0],
    ],
    samples: [
      {
        attrs: {},
        inputs: inputs([
          [7, 13],
          [7, 13],
        ]),
      },
      { attrs: {}, inputs: inputs([[6, 8], [8]], 'tokens'), counts: { tokens: 5 } },
      {
        attrs: {},
        inputs: inputs(
          [
            [6, 5],
            [6, 1],
          ],
          'tokens',
        ),
        counts: { tokens: 3 },
      },
      { attrs: {}, inputs: inputs([[], [5, 3]]) },
      {
        attrs: {},
        inputs: inputs([
          [3, 1, 4],
          [2, 1],
        ]),
      },
    ],
  };
}

export const addOp = binary(
  'add',
  (a, b) => a + b,
  (_a, _b, _y, dy) => [dy, dy],
);
export const subOp = binary(
  'sub',
  (a, b) => a - b,
  (_a, _b, _y, dy) => [dy, neg(dy)],
);
export const mulOp = binary(
  'mul',
  (a, b) => a * b,
  (a, b, _y, dy) => [mul(dy, b), mul(dy, a)],
);
export const divOp = binary(
  'div',
  (a, b) => a / b,
  (_a, b, y, dy) => [div(dy, b), neg(div(mul(dy, y), b))],
);
export const maximumOp = binary('maximum', Math.max, (a, b, _y, dy) => [
  mul(dy, greater(a, b)),
  mul(dy, greater(b, a)),
]);
export const minimumOp = binary('minimum', Math.min, (a, b, _y, dy) => [
  mul(dy, greater(b, a)),
  mul(dy, greater(a, b)),
]);
/** 1 where a > b, else 0; a constant to the gradient. */
export const greaterOp = binary(
  'greater',
  (a, b) => (a > b ? 1 : 0),
  () => [undefined, undefined],
);

const of2 = (op: Op<NoAttrs>) => (a: Tensor, b: Tensor) => apply(op, [a, b], {});
export const add = of2(addOp);
export const sub = of2(subOp);
export const mul = of2(mulOp);
export const div = of2(divOp);
export const maximum = of2(maximumOp);
export const minimum = of2(minimumOp);
export const greater = of2(greaterOp);

interface AffineAttrs {
  readonly [key: string]: number;
  readonly scale: number;
  readonly shift: number;
}

export const affineOp: Op<AffineAttrs> = {
  name: 'affine',
  shape([x]) {
    const type = defined('affine', x);
    return [f32(type.shape, type.rows)];
  },
  gradient: ({ attrs: { scale }, grads: [dy] }) => [dy && affine(dy, scale)],
  define([x], [y], { scale, shift }) {
    const to = one(y).data;
    one(x).data.forEach((v, i) => (to[i] = v * scale + shift));
  },
  inPlace: () => [[0, 0]],
  samples: [
    {
      attrs: { scale: -1.5, shift: 0.25 },
      inputs: [{ shape: [6, 7], rows: 'tokens' }],
      counts: { tokens: 5 },
    },
  ],
};

/** scale · x + shift with numbers that never change between runs. */
export const affine = (x: Tensor, scale: number, shift = 0): Tensor => apply(affineOp, [x], { scale, shift });

export const detachOp: Op<NoAttrs> = {
  name: 'detach',
  view: true,
  shape: ([x]) => [defined('detach', x)],
  gradient: () => [],
  define([x], [y]) {
    one(y).data.set(one(x).data);
  },
  samples: [],
};

/** The same numbers, a constant to the gradient. */
export const detach = (x: Tensor): Tensor => apply(detachOp, [x], {});

/** A scalar tensor of shape [] or [1] as []. */
export const scalar = (x: Tensor): Tensor => (x.shape.length === 0 ? x : reshape(x, []));
