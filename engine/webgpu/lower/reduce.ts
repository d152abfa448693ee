import { broadcastSteps, loopsOver } from '../../loops.ts';
import { sizeOf } from '../../shape.ts';
import type { Lowering } from '../dispatch.ts';
import { groupList, numberAttr, operand, widthOf } from '../dispatch.ts';
import { listDispatch, loopConstants, stepConstants } from './list.ts';

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
          workgroups: (rows) => groupList(Math.ceil((rows(x.type) * widthOf(x.type)) / CHUNK)),
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
    return [
      listDispatch(y.type, countOf, {
        shader: 'reduce',
        entry: 'spread',
        constants: {
          SOURCE_PLACE: countOf(x.type).place,
          SOURCE_WIDTH: x.type.rows === undefined ? sizeOf(x.type.shape) : widthOf(x.type),
          MEAN: Number(attrs.mean === true),
          ...loopConstants(sizes),
          ...stepConstants('X', steps[0]),
        },
        reads: { x },
        writes: { y },
      }),
    ];
  },
};

export const reduceLowerings: Record<string, Lowering> = { reduce, spread };
