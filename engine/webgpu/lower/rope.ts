import type { Lowering } from '../dispatch.ts';
import { numberAttr, operand, widthOf } from '../dispatch.ts';
import type { OverList } from './list.ts';
import { listDispatch } from './list.ts';

export const ropeLowerings: Record<string, Lowering> = {
  rope: {
    lower({ inputs, outputs, attrs, countOf }) {
      const y = operand(outputs, 0);
      const headDim = numberAttr(attrs, 'headDim');
      const width = widthOf(y.type);
      const rotation: OverList = {
        shader: 'rope',
        entry: 'rope',
        constants: { HEADS: width / headDim, HALF: headDim / 2, SIGN: attrs.inverse === true ? -1 : 1 },
        reads: {
          ...{ x: operand(inputs, 0), positions: operand(inputs, 1) },
          ...{ cosines: operand(inputs, 2), sines: operand(inputs, 3) },
        },
        writes: { y },
      };
      return [listDispatch(y.type, countOf, rotation, width / 2)];
    },
  },
};
