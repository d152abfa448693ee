import type { Device, InputNumbers, Numbers } from './backend.ts';
import { compile } from './compile.ts';
import { ShapeError } from './errors.ts';
import { reachable } from './grad.ts';
import type { Tensor } from './graph.ts';
import { Variable } from './graph.ts';
import { openDevice } from './openDevice.ts';
import type { DType } from './shape.ts';
import { sizeOf } from './shape.ts';

/** Numbers that `tensor()` was given, until a device needs them. */
const literals = new WeakMap<Variable, InputNumbers>();
let opened: Promise<Device> | undefined;

/**
 * A tensor of given numbers, row by row. Outside `compile` it makes small scripts read like eager code:
 * `await data(matmul(tensor([1, 2], [1, 2]), tensor([3, 4], [2, 1])))`. Errors: not as many numbers as the shape has.
 */
export function tensor(numbers: InputNumbers, shape: readonly number[], dtype: DType = 'f32'): Tensor {
  if (numbers.length !== sizeOf(shape))
    throw new ShapeError(
      `tensor: [${shape.join(', ')}] has ${sizeOf(shape)} elements, got ${numbers.length}`,
    );
  const variable = new Variable('tensor', { shape, dtype });
  literals.set(variable, numbers);
  return variable.tensor;
}

/**
 * Computes a tensor that depends on no program input: compiles what it needs, runs it once on `device` (the best one
 * here by default) and gives its numbers. Programs that run again and again are `compile`d instead.
 */
export async function data(t: Tensor, device?: Device): Promise<Numbers> {
  const on = device ?? (await (opened ??= openDevice({ device: 'auto', threads: 1 })));
  const variables = reachable([t]).flatMap((node) => (node.variable ? [node.variable] : []));
  const written = variables.filter((v) => literals.has(v));
  for (const v of written) on.write(v, literals.get(v) ?? []);
  const executable = await on.load(compile('data', {}, () => ({ outputs: { value: t } })));
  try {
    const { value } = await executable.run({});
    return value ?? new Float32Array();
  } finally {
    executable.dispose();
    for (const v of written) on.free(v);
  }
}
