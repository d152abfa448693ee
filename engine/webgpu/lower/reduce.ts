import { broadcastSteps, loopsOver } from '../../loops.ts';
import { sizeOf } from '../../shape.ts';
import type { Lowering } from '../dispatch.ts';
import { elementsOf, groupList, numberAttr, operand, widthOf } from '../dispatch.ts';
import { GROUP } from './elementwise.ts';

/** A sum of everything takes two dispatches beyond this many numbers, of chunks of so many. */
const CHUNK = 16384;

const reduce: Lowering = {
  workspace(inputs, { from, to }) {
    const shape = inputs[0]?.shape ?? [];
    return from === 0 && to === shape.length && sizeOf(shape) > CHUNK
      ? 4 * Math.ceil(sizeOf(shape) / CHUNK)
      : 0;
  },
  lower({ inputs, outputs, attrs, workspace, countOf }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const [from, to] = [numberAttr(attrs, 'from'), numberAttr(attrs, 'to')];
    const { shape } = x.type;
    const { place } = countOf(x.type);
    const INNER = sizeOf(shape.slice(to));
    const OUTER = sizeOf(shape.slice(0, from));
    const REDUCED = sizeOf(shape.slice(from, to));
    // The counted dimension is the first factor of OUTER or of REDUCED.
    const REDUCED_EACH = from === 0 ? sizeOf(shape.slice(1, to)) : 1;
    const places: Record<string, number> = from === 0 ? { REDUCED_PLACE: place } : { OUTER_PLACE: place };
    const constants: Record<string, number> = {
      ...{ OUTER, REDUCED, REDUCED_EACH, INNER, MEAN: Number(attrs.mean === true) },
      ...places,
    };
    const common = { shader: 'reduce' as const, constants, reads: { x }, writes: { y } };
    if (workspace.bytes > 0) {
      const chunked = { ...common, constants: { ...constants, CHUNK } };
      return [
        {
          ...chunked,
          entry: 'chunks',
          writes: { y: workspace },
          workgroups: (rows) => groupList(Math.ceil(elementsOf(x.type, rows) / CHUNK)),
        },
        { ...chunked, entry: 'total', reads: { x: workspace }, workgroups: () => [1] },
      ];
    }
    if (INNER === 1)
      return [
        {
          ...common,
          entry: 'rows',
          workgroups: (rows) => groupList(from === 0 ? 1 : (OUTER / (shape[0] || 1)) * rows(x.type)),
        },
      ];
    return [
      {
        ...common,
        entry: 'columns',
        workgroups: (rows) => [
          Math.ceil(INNER / 16),
          from === 0 ? 1 : (OUTER / (shape[0] || 1)) * rows(x.type),
        ],
      },
    ];
  },
};

const spread: Lowering = {
  lower({ inputs, outputs, attrs, countOf }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const { sizes, steps } = loopsOver('spread', y.type, [broadcastSteps(x.type, y.type)]);
    const [, SIZE1 = 1, SIZE2 = 1, SIZE3 = 1] = sizes;
    const [[X0 = 0, X1 = 0, X2 = 0, X3 = 0] = []] = steps;
    const [source, target] = [countOf(x.type), countOf(y.type)];
    const counted = x.type.rows !== undefined;
    return [
      {
        shader: 'reduce',
        entry: 'spread',
        constants: {
          ...{ PLACE: target.place, WIDTH: widthOf(y.type), SOURCE_PLACE: source.place },
          SOURCE_WIDTH: counted ? widthOf(x.type) : sizeOf(x.type.shape),
          ...{ SIZE1, SIZE2, SIZE3, X0, X1, X2, X3, MEAN: Number(attrs.mean === true) },
        },
        reads: { x },
        writes: { y },
        workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
      },
    ];
  },
};

export const reduceLowerings: Record<string, Lowering> = { reduce, spread };
