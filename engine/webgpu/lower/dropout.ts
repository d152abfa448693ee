import type { Lowering } from '../dispatch.ts';
import { elementsOf, groupList, numberAttr, operand, widthOf } from '../dispatch.ts';
import { GROUP } from './elementwise.ts';

export const dropoutLowerings: Record<string, Lowering> = {
  dropout: {
    lower({ inputs, outputs, attrs, countOf }) {
      const y = operand(outputs, 0);
      const p = numberAttr(attrs, 'p');
      return [
        {
          shader: 'dropout',
          entry: 'dropout',
          constants: {
            ...{
              PLACE: countOf(y.type).place,
              WIDTH: widthOf(y.type),
              SALT: numberAttr(attrs, 'salt') >>> 0,
            },
            ...{ THRESHOLD: Math.ceil(p * 2 ** 24), SCALE: 1 / (1 - p) },
          },
          reads: { x: operand(inputs, 0), seed: operand(inputs, 1) },
          writes: { y },
          workgroups: (rows) => groupList(Math.ceil(elementsOf(y.type, rows) / GROUP)),
        },
      ];
    },
  },
};
