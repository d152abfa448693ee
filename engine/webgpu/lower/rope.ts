import type { Lowering } from '../dispatch.ts';
import { elementsOf, groupList, numberAttr, operand, widthOf } from '../dispatch.ts';
import { GROUP } from './elementwise.ts';

export const ropeLowerings: Record<string, Lowering> = {
  rope: {
    lower({ inputs, outputs, attrs, countOf }) {
      const y = operand(outputs, 0);
      const headDim = numberAttr(attrs, 'headDim');
      return [
        {
          shader: 'rope',
          entry: 'rope',
          constants: {
            ...{ PLACE: countOf(y.type).place, HEADS: widthOf(y.type) / headDim, HALF: headDim / 2 },
            SIGN: attrs.inverse === true ? -1 : 1,
          },
          reads: {
            ...{ x: operand(inputs, 0), positions: operand(inputs, 1) },
            ...{ cosines: operand(inputs, 2), sines: operand(inputs, 3) },
          },
          writes: { y },
          workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / 2 / GROUP)),
        },
      ];
    },
  },
};
