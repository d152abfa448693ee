import { loopsOver } from '../../loops.ts';
import { bytesOf, f32, sizeOf, stridesOf } from '../../shape.ts';
import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs, Lowering, Operand } from '../dispatch.ts';
import { numberAttr, operand } from '../dispatch.ts';
import type { OverList } from './list.ts';
import { listDispatch, loopConstants, stepConstants } from './list.ts';

type CountOf = LowerArgs['countOf'];

/** Writes a value into every true element. */
export const fillDispatch = (y: Operand, VALUE: number, countOf: CountOf): Dispatch =>
  listDispatch(y.type, countOf, {
    shader: 'layout',
    entry: 'fill',
    constants: { VALUE },
    reads: {},
    writes: { y },
  });

/** Copies the true rows of x to y, of the same shape, word by word. */
export function copyDispatch(x: Operand, y: Operand, countOf: CountOf): Dispatch {
  const words = y.type.dtype === 'bf16' ? f32([bytesOf(y.type) / 4]) : y.type;
  return listDispatch(words, countOf, { shader: 'layout', entry: 'copy', reads: { x }, writes: { y } });
}

/** Puts `x` where the result goes, unless it lies there already. */
export const copyUnlessThere = (x: Operand, y: Operand, countOf: CountOf): Dispatch[] =>
  x.home === y.home && x.offset === y.offset ? [] : [copyDispatch(x, y, countOf)];

const transpose: Lowering = {
  lower({ inputs, outputs, attrs: { order }, countOf }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const strides = stridesOf(x.type.shape);
    const along = (order as readonly number[]).map((d) => strides[d] ?? 0);
    const { sizes, steps } = loopsOver('transpose', y.type, [along]);
    return [
      listDispatch(y.type, countOf, {
        shader: 'layout',
        entry: 'transpose',
        constants: { ...loopConstants(sizes), ...stepConstants('X', steps[0]) },
        reads: { x },
        writes: { y },
      }),
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
  const { type } = whole;
  const middle = sizeOf(type.shape.slice(1, -1));
  const outer: TensorType = type.shape.length === 1 ? { ...type, shape: [1, ...type.shape] } : type;
  const dispatches: Dispatch[] = [];
  let FIRST = 0;
  for (let i = 0; i < parts.length; i += 4) {
    const group = parts.slice(i, i + 4);
    const widths = group.map((p) => lastOf(p.type));
    const [WIDTH0 = 0, WIDTH1 = 0, WIDTH2 = 0, WIDTH3 = 0] = widths;
    const width = widths.reduce((n, w) => n + w, 0);
    const named = Object.fromEntries(group.map((p, k) => [`${entry === 'split' ? 'part' : 'from'}${k}`, p]));
    const dispatch: OverList = {
      shader: 'layout',
      entry,
      constants: { WHOLE: lastOf(type), FIRST, WIDTH0, WIDTH1, WIDTH2, WIDTH3 },
      reads: entry === 'split' ? { x: whole } : named,
      writes: entry === 'split' ? named : { y: whole },
    };
    dispatches.push(listDispatch(outer, countOf, dispatch, middle * width));
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
