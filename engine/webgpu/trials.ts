import type { Device, Numbers } from '../backend.ts';
import type { Program } from '../compile.ts';
import { compile } from '../compile.ts';
import { grad } from '../grad.ts';
import { add, mul } from '../ops/elementwise.ts';
import { linear } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { softmax } from '../ops/tokenLogProbs.ts';
import { ReferenceDevice } from '../reference/device.ts';
import { f32, sizeOf } from '../shape.ts';

/** Totals of teams of 256, 16 and 64 threads, and maxima. */
const sums = (): Program =>
  compile('sums on trial', { long: f32([3, 1000]), short: f32([20, 200]) }, ({ long, short }) => ({
    outputs: { totals: sum(long, 1), short: softmax(short), long: softmax(long) },
  }));

/** Products with the second operand, the first, or none transposed; with a bias, a base and a bias's gradient. */
const products = (m: number, n: number, k: number): Program =>
  compile(
    'products on trial',
    { x: f32([m, k]), weight: f32([n, k]), bias: f32([n]), base: f32([m, n]), dy: f32([m, n]) },
    ({ x, weight, bias, base, dy }) => {
      const y = add(base, linear(x, weight, bias));
      const [dx, dWeight, dBias] = grad(sum(mul(y, dy)), [x, weight, bias]);
      return { outputs: { y, dx, dWeight, dBias } };
    },
  );

/** Each is a try of one variant: sizes that tiles divide, and sizes that they do not. */
const programs = {
  sums: () => [sums()],
  products: () => [products(64, 128, 32), products(70, 73, 41)],
};
export type Subject = keyof typeof programs;

/** Small whole numbers, of which float16 holds all, and float32 all products and sums. */
const numbersFor = (n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((i * i + 3 * i + (i >> 5)) % 9) - 4);

/**
 * Runs programs on a device and on the reference backend. Returns what disagrees or fails to compile, undefined where
 * all is right. Ends the device.
 */
export async function attempt(open: () => Promise<Device>, subject: Subject): Promise<string | undefined> {
  try {
    const device = await open();
    try {
      const faults = await Promise.all(programs[subject]().map((program) => faultOf(device, program)));
      return faults.find((fault) => fault !== undefined);
    } finally {
      await device.dispose();
    }
  } catch (error) {
    // A compiler's message goes on with the shader's text.
    return String(error instanceof Error ? error.message : error).split('\n')[0];
  }
}

async function faultOf(device: Device, program: Program): Promise<string | undefined> {
  const inputs = Object.fromEntries(
    Object.entries(program.inputs).map(([name, { type }]) => [name, numbersFor(sizeOf(type.shape))]),
  );
  const [got, want] = await Promise.all(
    [device, new ReferenceDevice()].map(async (d) => {
      const executable = await d.load(program);
      return executable.run(inputs);
    }),
  );
  for (const [name, numbers] of Object.entries(want ?? {})) {
    const at = firstFault(got?.[name] ?? [], numbers);
    if (at !== undefined)
      return `${program.name} gave ${got?.[name]?.[at]} instead of ${numbers[at]} as ${name}[${at}]`;
  }
  return undefined;
}

/** Sums of whole numbers are exact; exponentials are not. */
function firstFault(got: ArrayLike<number>, want: Numbers): number | undefined {
  const at = want.findIndex((w, i) => !(Math.abs((got[i] ?? NaN) - w) <= 1e-5 * Math.abs(w)));
  return at < 0 ? undefined : at;
}
