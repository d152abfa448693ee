import type { Lowering } from '../dispatch.ts';
import { numberAttr, operand } from '../dispatch.ts';
import { listDispatch } from './list.ts';

export const dropoutLowerings: Record<string, Lowering> = {
  dropout: {
    lower({ inputs, outputs, attrs, countOf }) {
      const y = operand(outputs, 0);
      const p = numberAttr(attrs, 'p');
      return [
        listDispatch(y.type, countOf, {
          shader: 'dropout',
          entry: 'dropout',
          constants: {
            SALT: numberAttr(attrs, 'salt') >>> 0,
            THRESHOLD: Math.ceil(p * 2 ** 24),
            SCALE: 1 / (1 - p),
          },
          reads: { x: operand(inputs, 0), seed: operand(inputs, 1) },
          writes: { y },
        }),
      ];
    },
  },
};
