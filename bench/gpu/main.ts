import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { WebGpuDevice } from '../../engine/index.ts';
import { PrefgradError } from '../../engine/errors.ts';
import { LIMITS, isSoftware, requestAdapter } from '../../engine/webgpu/gpu.ts';
import { describeMachine } from '../machine.ts';
import { GPT2_124M } from './gpt2.ts';
import { GpuTimes, timeAttention, timeMatmul, timeStep } from './measure.ts';
import { traceStep, traceTable } from './trace.ts';

interface Options {
  readonly reduced: boolean;
  readonly trace: boolean;
  readonly out?: string;
}

/** Sizes that a GPU is measured with, and those that a software adapter can end. */
const sizes = {
  full: {
    matmul: [1024, 2048, 4096],
    attention: { batch: 8, length: 1024, heads: 12, headDim: 64 },
    step: GPT2_124M,
    runs: 10,
  },
  reduced: {
    matmul: [128, 256],
    attention: { batch: 1, length: 128, heads: 2, headDim: 64 },
    step: { layers: 2, width: 64, heads: 2, vocab: 512, batch: 2, length: 64 },
    runs: 3,
  },
};

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function measure({ reduced, out }: Options): Promise<void> {
  const adapter = await requestAdapter();
  if (typeof adapter === 'string') throw new PrefgradError(adapter);
  const software = isSoftware(adapter);
  if (software && !reduced) say('a software adapter: sizes are reduced, and times say nothing of a GPU');
  const { matmul, attention, step, runs } = reduced || software ? sizes.reduced : sizes.full;
  const { info, limits } = adapter;
  const results: Record<string, unknown> = {
    adapter: {
      ...{ vendor: info.vendor, architecture: info.architecture, device: info.device },
      driver: info.description,
    },
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
    machine: describeMachine(),
    runtime: `Node ${process.versions.node}`,
  };
  const report = (name: string, timing: { wallMs: number; gpuMs: number | null; gflops: number }): void => {
    results[name] = timing;
    const gpu = timing.gpuMs === null ? 'no timestamps' : `${timing.gpuMs.toFixed(2)} ms on the GPU`;
    say(`${name}: ${timing.wallMs.toFixed(2)} ms, ${gpu}, ${timing.gflops.toFixed(0)} GFLOP/s`);
  };
  const times = new GpuTimes();
  for (const products of adapter.features.has('shader-f16')
    ? (['f32', 'f16'] as const)
    : (['f32'] as const)) {
    const device = await WebGpuDevice.create({ onGpuTime: times.add, products });
    for (const n of matmul) report(`matmul ${n} ${products}`, await timeMatmul(device, times, n, runs));
    await device.dispose();
  }
  const device = await WebGpuDevice.create({ onGpuTime: times.add });
  report('attention forward', await timeAttention(device, times, attention, false, runs));
  report('attention forward and backward', await timeAttention(device, times, attention, true, runs));
  const { flops } = await traceStep(step, true);
  report('training step', await timeStep(device, times, step, runs, flops));
  await device.dispose();
  const text = `${JSON.stringify({ step, attention, ...results }, null, 1)}\n`;
  if (out === undefined) process.stdout.write(text);
  else writeFileSync(out, text);
}

await new Command('bench:gpu')
  .description('Measures the WebGPU backend on this machine, once: JSON on stdout, progress on stderr.')
  .option('--reduced', 'small sizes, as a software adapter gets them', false)
  .option('--trace', 'counts what a step of GPT-2 124M asks of a GPU instead, without one', false)
  .option('--out <file>', 'where the JSON goes')
  .action(async (options: Options) => {
    if (!options.trace) return measure(options);
    for (const recompute of [true, false]) {
      say(`\n${recompute ? 'norms and GELU computed again' : 'all activations kept'}`);
      process.stdout.write(`${traceTable(await traceStep(GPT2_124M, recompute))}\n`);
    }
    return undefined;
  })
  .parseAsync();
process.exit();
