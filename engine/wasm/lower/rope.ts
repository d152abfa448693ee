import type { Lowering } from '../call.ts';
import { address, float, int, numberAttr, operand, rowsOf, widthOf } from '../call.ts';

export const ropeLowerings: Record<string, Lowering> = {
  rope: {
    lower({ inputs, outputs, attrs }) {
      const y = operand(outputs, 0);
      const headDim = numberAttr(attrs, 'headDim');
      const fields = [
        ...[...inputs, y].map((t) => address(t)),
        rowsOf(y.type),
        int(widthOf(y.type) / headDim),
        int(headDim / 2),
        float(attrs.inverse === true ? -1 : 1),
      ];
      return [{ kernel: 'rope', fields, reads: inputs, writes: [y] }];
    },
  },
};
