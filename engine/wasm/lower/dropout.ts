import type { Lowering } from '../call.ts';
import { address, elementsOf, float, int, numberAttr, operand } from '../call.ts';

export const dropoutLowerings: Record<string, Lowering> = {
  dropout: {
    lower({ inputs, outputs, attrs }) {
      const y = operand(outputs, 0);
      const p = numberAttr(attrs, 'p');
      // A hash k of 24 bits is below p, as k / 2^24, exactly where it is below ⌈p · 2^24⌉.
      const mask = [int(Math.ceil(p * 2 ** 24)), int(numberAttr(attrs, 'salt') | 0), float(1 / (1 - p))];
      const fields = [...[...inputs, y].map((t) => address(t)), elementsOf(y.type), ...mask];
      return [{ kernel: 'dropout', fields, reads: inputs, writes: [y] }];
    },
  },
};
