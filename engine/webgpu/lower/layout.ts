import { loopsOver } from '../../loops.ts';
import { stridesOf } from '../../shape.ts';
import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs, Lowering, Operand } from '../dispatch.ts';
import { elementsOf, groupList, numberAttr, operand, widthOf } from '../dispatch.ts';
import { GROUP } from './elementwise.ts';

type CountOf = LowerArgs['countOf'];

/** Writes a value into every true element. */
export const fillDispatch = (y: Operand, VALUE: number, countOf: CountOf): Dispatch => ({
  shader: 'layout',
  entry: 'fill',
  constants: { PLACE: countOf(y.type).place, WIDTH: widthOf(y.type), VALUE },
  reads: {},
  writes: { y },
  workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
});

/** Copies the true rows of x to y, of the same shape. */
export const copyDispatch = (x: Operand, y: Operand, countOf: CountOf): Dispatch => ({
  shader: 'layout',
  entry: 'copy',
  constants: { PLACE: countOf(y.type).place, WIDTH: widthOf(y.type) },
  reads: { x },
  writes: { y },
  workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
});

/** Puts `x` where the result goes, unless it lies there already. */
export const copyUnlessThere = (x: Operand, y: Operand, countOf: CountOf): Dispatch[] =>
  x.home === y.home && x.offset === y.offset ? [] : [copyDispatch(x, y, countOf)];

const transpose: Lowering = {
  lower({ inputs, outputs, attrs: { order }, countOf }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const strides = stridesOf(x.type.shape);
    const along = (order as readonly number[]).map((d) => strides[d] ?? 0);
    const { sizes, steps } = loopsOver('transpose', y.type, [along]);
    const [, SIZE1 = 1, SIZE2 = 1, SIZE3 = 1] = sizes;
    const [[X0 = 0, X1 = 0, X2 = 0, X3 = 0] = []] = steps;
    return [
      {
        ...copyDispatch(x, y, countOf),
        entry: 'transpose',
        constants: {
          ...{ PLACE: countOf(y.type).place, WIDTH: widthOf(y.type), SIZE1, SIZE2, SIZE3 },
          ...{ X0, X1, X2, X3 },
        },
      },
    ];
  },
};

const lastOf = (type: TensorType): number => type.shape[type.shape.length - 1] ?? 1;

/** Dispatches of up to four parts that lie side by side in the last dimension of `whole`. */
function partDispatches(
  entry: 'split' | 'concat',
  whole: Operand,
  parts: readonly Operand[],
  countOf: CountOf,
): Dispatch[] {
  const middle = whole.type.shape.slice(1, -1).reduce((n, d) => n * d, 1);
  const [counted, single] = [countOf(whole.type), whole.type.shape.length === 1];
  const dispatches: Dispatch[] = [];
  let FIRST = 0;
  for (let i = 0; i < parts.length; i += 4) {
    const group = parts.slice(i, i + 4);
    const widths = group.map((p) => lastOf(p.type));
    const [WIDTH0 = 0, WIDTH1 = 0, WIDTH2 = 0, WIDTH3 = 0] = widths;
    const width = widths.reduce((n, w) => n + w, 0);
    const named = Object.fromEntries(group.map((p, k) => [`${entry === 'split' ? 'part' : 'from'}${k}`, p]));
    dispatches.push({
      shader: 'layout',
      entry,
      constants: {
        ...{ PLACE: counted.place, ROWS: single ? 1 : counted.capacity, WIDTH: middle },
        ...{ WHOLE: lastOf(whole.type), FIRST, WIDTH0, WIDTH1, WIDTH2, WIDTH3 },
      },
      reads: entry === 'split' ? { x: whole } : named,
      writes: entry === 'split' ? named : { y: whole },
      workgroups: (rows) => groupList(Math.ceil(((single ? 1 : rows(whole.type)) * middle * width) / GROUP)),
    });
    FIRST += width;
  }
  return dispatches;
}

export const layoutLowerings: Record<string, Lowering> = {
  transpose,
  split: {
    lower: ({ inputs, outputs, countOf }) => partDispatches('split', operand(inputs, 0), outputs, countOf),
  },
  concat: {
    lower: ({ inputs, outputs, countOf }) => partDispatches('concat', operand(outputs, 0), inputs, countOf),
  },
  fill: {
    lower: ({ outputs, attrs, countOf }) => [
      fillDispatch(operand(outputs, 0), numberAttr(attrs, 'value'), countOf),
    ],
  },
};
