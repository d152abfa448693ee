import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { Call, Lowering, Operand } from '../call.ts';
import { address, int, operand, rowsOf, widthOf } from '../call.ts';
import { formatOf, rowBytesOf } from './blocks.ts';
import { copyCall, fillCall } from './layout.ts';

/** A call over the rows of `indexed`, the operand that has one row for each of the index. */
const rowsCall = (kernel: string, x: Operand, index: Operand, y: Operand, indexed: Operand): Call => ({
  kernel,
  fields: [address(x), address(index), address(y), rowsOf(indexed.type), int(widthOf(indexed.type))],
  reads: [x, index],
  writes: [y],
});

/** Puts `base` where the result goes, unless it lies there already. */
const copyUnlessThere = (base: Operand, y: Operand): Call[] =>
  base.address === y.address ? [] : [copyCall(base, y)];

export const rowsLowerings: Record<string, Lowering> = {
  gatherRows: {
    lower({ inputs, outputs }) {
      const [x, index, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
      const call = rowsCall('gatherRows', x, index, y, y);
      if (x.type.blocks === undefined) return [call];
      const fields = [...call.fields, int(formatOf(x.type)), int(rowBytesOf(x.type))];
      return [{ ...call, kernel: 'gatherRowsBlocks', fields }];
    },
  },
  scatterAddRows: {
    lower({ inputs, outputs, attrs }) {
      const [x, index, y] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
      const base = baseOf(inputs, accumulateOf(attrs), 0);
      const start = base ? copyUnlessThere(base, y) : [fillCall(y, 0)];
      return [...start, { ...rowsCall('scatterAddRows', x, index, y, x), reads: [x, index, y] }];
    },
  },
  updateRows: {
    lower({ inputs, outputs }) {
      const [base, index, x] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
      const y = operand(outputs, 0);
      return [...copyUnlessThere(base, y), rowsCall('updateRows', x, index, y, x)];
    },
  },
};
