import { loopsOver } from '../../loops.ts';
import { stridesOf } from '../../shape.ts';
import type { TensorType } from '../../shape.ts';
import type { Call, Field, Lowering, Operand } from '../call.ts';
import { address, elementsOf, float, int, loopFields, numberAttr, operand, rowsOf } from '../call.ts';

/** A call that writes `value` into every true element. */
export const fillCall = (y: Operand, value: number): Call => ({
  kernel: 'fill',
  fields: [address(y), elementsOf(y.type), float(value)],
  reads: [],
  writes: [y],
});

/** A call that copies the true rows of x to y, of the same shape. */
export const copyCall = (x: Operand, y: Operand): Call => ({
  kernel: 'copy',
  fields: [address(x), address(y), elementsOf(y.type)],
  reads: [x],
  writes: [y],
});

const transpose: Lowering = {
  lower({ inputs, outputs, attrs: { order } }) {
    const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
    const strides = stridesOf(x.type.shape);
    const steps = (order as readonly number[]).map((d) => strides[d] ?? 0);
    const loops = loopsOver('transpose', y.type, [steps]);
    const fields = [address(x), address(y), ...loopFields(y.type, loops)];
    return [{ kernel: 'transpose', fields, reads: [x], writes: [y] }];
  },
};

const lastOf = (type: TensorType): number => type.shape[type.shape.length - 1] ?? 1;

/** Fields of split and concat: the whole, and the parts that lie side by side in its last dimension. */
function partFields(whole: Operand, parts: readonly Operand[]): Field[] {
  const middle = whole.type.shape.slice(1, -1).reduce((n, d) => n * d, 1);
  return [
    address(whole),
    int(lastOf(whole.type)),
    rowsOf(whole.type, middle),
    int(parts.length),
    ...parts.flatMap((part) => [address(part), int(lastOf(part.type))]),
  ];
}

export const layoutLowerings: Record<string, Lowering> = {
  transpose,
  split: {
    lower({ inputs, outputs }) {
      const x = operand(inputs, 0);
      return [{ kernel: 'split', fields: partFields(x, outputs), reads: [x], writes: outputs }];
    },
  },
  concat: {
    lower({ inputs, outputs }) {
      const y = operand(outputs, 0);
      return [{ kernel: 'concat', fields: partFields(y, inputs), reads: inputs, writes: [y] }];
    },
  },
  fill: {
    lower: ({ outputs, attrs }) => [fillCall(operand(outputs, 0), numberAttr(attrs, 'value'))],
  },
};
