import type { Device, Executable } from '../engine/index.ts';
import { Variable, compile, f32, product } from '../engine/index.ts';
import { Random } from '../trainer/data/random.ts';

/** Which operand is given transposed: NN is A [M, K] · B [K, N]; NT has B as [N, K], TN has A as [K, M]. */
export const LAYOUTS = ['NN', 'NT', 'TN'] as const;

export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly layout: (typeof LAYOUTS)[number];
}

/** C = A · B through the engine, packing included; the operands stay on the device. */
export class Gemm {
  private constructor(
    private readonly device: Device,
    private readonly variables: readonly Variable[],
    private readonly executable: Executable,
  ) {}

  static async load({ m, n, k, layout }: GemmShape, device: Device): Promise<Gemm> {
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
    return new Gemm(device, [a, b, c], await device.load(program));
  }

  async run(): Promise<void> {
    await this.executable.run({});
  }

  dispose(): void {
    this.executable.dispose();
    for (const x of this.variables) this.device.free(x);
  }
}

/** Billions of floating-point operations a second: 2·M·N·K in the given time. */
export const gflops = ({ m, n, k }: Pick<GemmShape, 'm' | 'n' | 'k'>, seconds: number): number =>
  (2e-9 * m * n * k) / seconds;
