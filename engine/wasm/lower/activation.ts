import type { Lowering } from '../call.ts';
import { address, elementsOf, operand } from '../call.ts';

/** A call on each element of operands of one shape: their addresses, inputs first, and the number of elements. */
const elementwise = (kernel: string): Lowering => ({
  lower({ inputs, outputs }) {
    const fields = [...[...inputs, ...outputs].map((t) => address(t)), elementsOf(operand(outputs, 0).type)];
    return [{ kernel, fields, reads: inputs, writes: outputs }];
  },
});

export const activationLowerings: Record<string, Lowering> = {
  gelu: elementwise('gelu'),
  geluGrad: elementwise('geluGrad'),
  geluErf: elementwise('geluErf'),
  geluErfGrad: elementwise('geluErfGrad'),
  swiglu: elementwise('swiglu'),
  swigluGrad: elementwise('swigluGrad'),
};
