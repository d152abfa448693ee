import type { Lowering, Operand } from '../dispatch.ts';
import { operand } from '../dispatch.ts';
import { listDispatch } from './list.ts';

type Named = Readonly<Record<string, Operand>>;

/** One dispatch over elements; names of the inputs and outputs as in shaders/activation.wgsl. */
const activation = (
  entry: string,
  inputNames: readonly string[],
  outputNames: readonly string[],
  exact = false,
): Lowering => ({
  lower({ inputs, outputs, countOf }) {
    const { type } = operand(outputs, 0);
    const named = (names: readonly string[], operands: readonly Operand[]): Named =>
      Object.fromEntries(names.map((name, i) => [name, operand(operands, i)]));
    return [
      listDispatch(type, countOf, {
        shader: 'activation',
        entry,
        constants: { EXACT: Number(exact) },
        reads: named(inputNames, inputs),
        writes: named(outputNames, outputs),
      }),
    ];
  },
});

export const activationLowerings: Record<string, Lowering> = {
  gelu: activation('gelu', ['x'], ['y']),
  geluGrad: activation('geluGrad', ['x', 'dy'], ['y']),
  geluErf: activation('gelu', ['x'], ['y'], true),
  geluErfGrad: activation('geluGrad', ['x', 'dy'], ['y'], true),
  swiglu: activation('swiglu', ['x', 'up'], ['y']),
  swigluGrad: activation('swigluGrad', ['x', 'up', 'dy'], ['y', 'dUp']),
};
