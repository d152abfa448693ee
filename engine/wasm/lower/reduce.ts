import { broadcastSteps, loopsOver } from '../../loops.ts';
import { sizeOf } from '../../shape.ts';
import type { Lowering } from '../call.ts';
import { address, elementsOf, flag, int, loopFields, numberAttr, operand, rowsOf } from '../call.ts';

// As in kernels/lanes.ts.
const CHUNK = 4096;

const reduce: Lowering = {
  workspace(inputs, { from, to }) {
    const shape = inputs[0]?.shape ?? [];
    return from === 0 && to === shape.length ? 8 * Math.ceil(sizeOf(shape) / CHUNK) : 0;
  },
  lower({ inputs, outputs, attrs, workspace }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const [from, to] = [numberAttr(attrs, 'from'), numberAttr(attrs, 'to')];
    const { shape } = x.type;
    const mean = flag(attrs.mean === true);
    const inner = sizeOf(shape.slice(to));
    // [outer, R, inner]; the counted dimension is the first factor of outer or of R.
    const outer = from === 0 ? int(1) : rowsOf(x.type, sizeOf(shape.slice(1, from)));
    const reduced =
      from === 0 ? rowsOf(x.type, sizeOf(shape.slice(1, to))) : int(sizeOf(shape.slice(from, to)));
    const ends = { reads: [x], writes: [y] };
    if (inner > 1)
      return [
        {
          kernel: 'reduceColumns',
          fields: [address(x), address(y), outer, reduced, int(inner), mean, int(0)],
          ...ends,
        },
      ];
    if (from > 0 || sizeOf(shape) <= CHUNK || workspace.bytes === 0)
      return [{ kernel: 'reduceRows', fields: [address(x), address(y), outer, reduced, mean], ...ends }];
    const sums = address(workspace);
    return [
      { kernel: 'reduceChunks', fields: [address(x), sums, reduced], reads: [x], writes: [workspace] },
      { kernel: 'reduceTotal', fields: [sums, address(y), reduced, mean], reads: [workspace], writes: [y] },
    ];
  },
};

const spread: Lowering = {
  lower({ inputs, outputs, attrs }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const loops = loopsOver('spread', y.type, [broadcastSteps(x.type, y.type)]);
    const counts = [flag(attrs.mean === true), elementsOf(x.type), elementsOf(y.type)];
    const fields = [address(x), address(y), ...loopFields(y.type, loops), ...counts];
    return [{ kernel: 'spread', fields, reads: [x], writes: [y] }];
  },
};

export const reduceLowerings: Record<string, Lowering> = { reduce, spread };
