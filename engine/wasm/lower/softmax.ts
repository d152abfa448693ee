import type { Lowering } from '../call.ts';
import { address, int, operand, rowsOf, widthOf } from '../call.ts';

const overRows = (kernel: string): Lowering => ({
  lower({ inputs, outputs }) {
    const { type } = operand(outputs, 0);
    const tensors = [...inputs, ...outputs].map((t) => address(t));
    return [
      { kernel, fields: [...tensors, rowsOf(type), int(widthOf(type))], reads: inputs, writes: outputs },
    ];
  },
});

export const softmaxLowerings: Record<string, Lowering> = {
  softmax: overRows('softmax'),
  softmaxGrad: overRows('softmaxGrad'),
};
