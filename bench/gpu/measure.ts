import type { Device, Program } from '../../engine/index.ts';
import { attention, compile, f32, grad, i32, product, sum } from '../../engine/index.ts';
import { initialiseWeights } from '../../models/index.ts';
import { Random } from '../../trainer/data/random.ts';
import type { Gpt2Step } from './gpt2.ts';
import { gpt2Model, gpt2Trainer } from './gpt2.ts';

/** Medians over `runs` runs; GPU time where the adapter has timestamps. */
export interface Timing {
  readonly runs: number;
  readonly wallMs: number;
  readonly gpuMs: number | null;
  /** Of the GPU's time where it is known. */
  readonly gflops: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Times of a device's runs on the GPU, as they come in. */
export class GpuTimes {
  #times: number[] = [];
  readonly add = (_: string, ms: number): void => void this.#times.push(ms);
  take(): number[] {
    const taken = this.#times;
    this.#times = [];
    return taken;
  }
}

type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

/** Runs a program again and again, a warm-up left out. */
async function time(
  device: Device,
  times: GpuTimes,
  program: Program,
  inputs: Inputs,
  runs: number,
  flops: number,
): Promise<Timing> {
  const executable = await device.load(program);
  await executable.run(inputs);
  times.take();
  const wall: number[] = [];
  for (let i = 0; i < runs; i++) {
    const began = performance.now();
    await executable.run(inputs);
    wall.push(performance.now() - began);
  }
  executable.dispose();
  return timing(wall, times.take(), flops);
}

function timing(wall: readonly number[], gpu: readonly number[], flops: number): Timing {
  const [wallMs, gpuMs] = [median(wall), gpu.length > 0 ? median(gpu) : null];
  return { runs: wall.length, wallMs, gpuMs, gflops: flops / (gpuMs ?? wallMs) / 1e6 };
}

const noise = (random: Random, n: number): Float32Array =>
  Float32Array.from({ length: n }, () => random.uniform() - 0.5);

/** C = A · Bᵀ of n × n matrices; the numbers come from a seed. */
export function timeMatmul(device: Device, times: GpuTimes, n: number, runs: number): Promise<Timing> {
  const random = new Random(n);
  const program = compile(`matmul ${n}`, { a: f32([n, n]), b: f32([n, n]) }, ({ a, b }) => ({
    outputs: { corner: sum(product(a, b, false, true)) },
  }));
  return time(device, times, program, { a: noise(random, n * n), b: noise(random, n * n) }, runs, 2 * n ** 3);
}

export interface AttentionShape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
}

/** Attention over `batch` causal sequences, forward alone, or with its gradients. */
export function timeAttention(
  device: Device,
  times: GpuTimes,
  { batch, length, heads, headDim }: AttentionShape,
  backward: boolean,
  runs: number,
): Promise<Timing> {
  const random = new Random(length);
  const [rows, width] = [batch * length, heads * headDim];
  const types = {
    q: f32([rows, width]),
    k: f32([rows, width]),
    v: f32([rows, width]),
    segments: i32([batch, 6]),
  };
  const attrs = { heads, kvHeads: heads, headDim };
  const program = compile(backward ? 'attention and gradient' : 'attention', types, (t) => {
    const total = sum(attention(t.q, t.k, t.v, t.segments, attrs));
    if (!backward) return { outputs: { total } };
    return {
      outputs: {
        total,
        ...Object.fromEntries(grad(total, [t.q, t.k, t.v]).map((d, i) => [`d${i}`, sum(d)])),
      },
    };
  });
  const segments = Int32Array.from(
    Array.from({ length: batch }, (_, i) => [i * length, length, i * length, length, 0, 0]).flat(),
  );
  const [q, k, v] = [0, 1, 2].map(() => noise(random, rows * width));
  // Two products forward and five backward over the causal half of T².
  const flops = (backward ? 7 : 2) * batch * heads * length ** 2 * headDim;
  return time(device, times, program, { q, k, v, segments }, runs, flops);
}

/** Steady training steps: wall time from result to result with steps under way, and the GPU's time of a step. */
export async function timeStep(
  device: Device,
  times: GpuTimes,
  step: Gpt2Step,
  steps: number,
  flops: number,
): Promise<Timing & { readonly tokensPerSecond: number; readonly bytes: number }> {
  const random = new Random(5);
  const model = gpt2Model(step);
  initialiseWeights(model, device, () => random.uniform() - 0.5);
  const trainer = await gpt2Trainer(step, { model, device, steps: steps + 2 }, () =>
    random.below(step.vocab),
  );
  const wall: number[] = [];
  for await (const result of trainer.steps({ settleAfter: () => false })) {
    if (result.step > 2) wall.push(1000 * result.seconds);
    else if (result.step === 2) times.take();
  }
  // A training program's run and an update's for each step.
  const runs = times.take();
  const gpu = wall
    .map((_, i) => (runs[2 * i] ?? NaN) + (runs[2 * i + 1] ?? NaN))
    .filter((ms) => !Number.isNaN(ms));
  const { total: bytes } = device.memory;
  trainer.dispose();
  const measured = timing(wall, gpu, flops);
  return { ...measured, tokensPerSecond: (1000 * step.batch * step.length) / measured.wallMs, bytes };
}
