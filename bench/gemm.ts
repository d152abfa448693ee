import type { Device } from '../engine/index.ts';
import { Variable, compile, f32, product } from '../engine/index.ts';
import type { Effort } from './measure.ts';
import { measure } from './measure.ts';
import { Random } from '../trainer/data/random.ts';

/** Which operand is given transposed: NN is A [M, K] · B [K, N]; NT has B as [N, K], TN has A as [K, M]. */
export const LAYOUTS = ['NN', 'NT', 'TN'] as const;

export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly layout: (typeof LAYOUTS)[number];
}

/** Seconds of C = A · B through the engine, packing included; the operands stay on the device. */
export async function timeGemm(device: Device, shape: GemmShape, effort: Effort): Promise<number[]> {
  const { m, n, k, layout } = shape;
  const [transposeA, transposeB] = [layout === 'TN', layout === 'NT'];
  const a = new Variable('a', f32(transposeA ? [k, m] : [m, k]));
  const b = new Variable('b', f32(transposeB ? [n, k] : [k, n]));
  const c = new Variable('c', f32([m, n]));
  const random = new Random(1);
  for (const x of [a, b])
    device.write(
      x,
      Float32Array.from({ length: k * (x === a ? m : n) }, () => random.uniform() - 0.5),
    );
  const program = compile('gemm', {}, () => ({
    updates: [{ variable: c, value: product(a.tensor, b.tensor, transposeA, transposeB) }],
  }));
  const executable = await device.load(program);
  try {
    return await measure(`gemm ${m}×${n}×${k} ${layout}`, () => executable.run({}), effort);
  } finally {
    executable.dispose();
    for (const x of [a, b, c]) device.free(x);
  }
}

/** Billions of floating-point operations a second: 2·M·N·K in the given time. */
export const gflops = ({ m, n, k }: Pick<GemmShape, 'm' | 'n' | 'k'>, seconds: number): number =>
  (2e-9 * m * n * k) / seconds;
