import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Program } from '../../engine/index.ts';
import {
  ReferenceDevice,
  WebGpuDevice,
  compile,
  f32,
  matmulOp,
  ops,
  product,
  sum,
} from '../../engine/index.ts';
import type { Op, Sample } from '../../engine/index.ts';
import type { Capabilities } from '../../engine/webgpu/capabilities.ts';
import { DAWN_FLAGS, loadDawn, requestDevice } from '../../engine/webgpu/gpu.ts';
import { link, planFor } from '../../engine/webgpu/link.ts';
import { Pipelines, shapeOf } from '../../engine/webgpu/pipelines.ts';
import { shaderFiles } from '../../engine/webgpu/shaders.ts';
import { emulatedGpu, halves, matricesOf, subgroupsOf } from './emulatedGpu.ts';
import {
  drawInputs,
  drawWeights,
  named,
  poison,
  reductionLength,
  relativeError,
  runOnce,
  sampleProgram,
} from './samples.ts';
import { noWebGpu } from './webgpu.ts';

const gpus = {
  /** Dawn's checks of shaders and of calls, without a GPU. Its limits are those of the weakest adapters. */
  none: await loadDawn(['backend=null', 'enable-dawn-features=allow_unsafe_apis']),
  unguarded: await loadDawn([...DAWN_FLAGS, 'enable-dawn-features=disable_robustness']),
};
const noDawn = gpus.none ? '' : '(skipped: the package webgpu is not installed)';

const plain: Capabilities = { subgroups: undefined, products: 'f32' };
const variants: Record<string, Capabilities> = {
  'workgroup memory and float32': plain,
  'subgroups of 4 or more': { ...plain, subgroups: 4 },
  'subgroups of 32, float16': { ...plain, subgroups: 32, products: 'f16' },
  'subgroup matrices 16 × 16 × 16': { ...plain, subgroups: 32, products: { m: 16, n: 16, k: 16, lanes: 32 } },
  'subgroup matrices 8 × 16 × 16': { ...plain, subgroups: 8, products: { m: 8, n: 16, k: 16, lanes: 32 } },
  'subgroup matrices 8 × 8 × 8': { ...plain, products: { m: 8, n: 8, k: 8, lanes: 64 } },
};

/** Each sample of the ops; with gradients the first of those whose gradient's op has none. */
const samples = ops.flatMap((op) => {
  const untried = ops.find((o) => o.name === `${op.name}Grad`)?.samples.length === 0;
  return op.samples.map((sample, s) => ({ op, sample, s, gradients: untried && s === 0 }));
});
/** What no sample has: a long sum, products whose sizes the tiles divide, and of few rows. */
const total = compile('total', { x: f32([300, 100]) }, ({ x }) => ({ outputs: { y: sum(x) } }));
const exactProducts = [
  { m: 128, k: 64 },
  { m: 3, k: 50 },
].flatMap(({ m, k }) =>
  [false, true].map((transposed) =>
    compile('product', { a: f32([m, k]), b: f32(transposed ? [64, k] : [k, 64]) }, ({ a, b }) => ({
      outputs: { c: product(a, b, false, transposed) },
    })),
  ),
);

describe.skipIf(noDawn !== '')(`every pipeline compiles with default limits ${noDawn}`, () => {
  async function deviceFor(capabilities: Capabilities): Promise<GPUDevice> {
    const adapter = await gpus.none?.requestAdapter();
    if (!adapter) throw new Error('there is no null adapter');
    expect(adapter.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(adapter.limits.maxComputeWorkgroupStorageSize).toBe(16384);
    return requestDevice(adapter, capabilities);
  }

  async function compileAll(device: GPUDevice, capabilities: Capabilities): Promise<Set<string>> {
    const pipelines = new Pipelines(device, capabilities);
    const programs = samples.map(({ op, sample }) => sampleProgram(op, sample, op.gradient !== undefined));
    const dispatches = [...programs, total, ...exactProducts].flatMap((p) => link(planFor(p), capabilities));
    await Promise.all(
      dispatches.map((d) =>
        pipelines.get(
          d,
          shapeOf(d, ({ home }) => home),
        ),
      ),
    );
    return new Set(dispatches.map((d) => `${d.shader}.${d.entry}`));
  }

  for (const [name, capabilities] of Object.entries(variants))
    it(name, async () => {
      const device = await deviceFor(capabilities);
      const errors: string[] = [];
      device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
      const compiled = await compileAll(device, capabilities);
      expect(errors).toEqual([]);
      const matrices = typeof capabilities.products === 'object';
      const entries = Object.entries(shaderFiles).flatMap(([file, text]) =>
        [...text.matchAll(/@compute[^{]*?fn (\w+)/g)].map(([, entry]) => `${file}.${entry}`),
      );
      const tiled = matrices ? 'matmul.tiled' : 'matmul.matrices';
      expect([...compiled].sort()).toEqual(
        [...entries, 'matmul.matrices'].filter((entry) => entry !== tiled).sort(),
      );
      device.destroy();
    });

  it('and what a device has no feature for does not', async () => {
    for (const name of ['subgroups of 32, float16', 'subgroup matrices 8 × 8 × 8']) {
      const device = await deviceFor(plain);
      await expect(compileAll(device, variants[name] ?? plain)).rejects.toThrow(
        /shaders\/\w+\.wgsl, \w+, does not compile on this GPU: .*(extension|feature)/s,
      );
      device.destroy();
    }
  });

  it('and results that are wrong keep a variant from being used', async () => {
    // The null backend computes nothing.
    const device = await WebGpuDevice.create({ gpu: gpus.none });
    expect(device.capabilities).toEqual(plain);
    expect(device.description).toMatch(
      /no sums in subgroups: sums on trial gave \S+ instead of -95 as totals/,
    );
    await device.dispose();
  });
});

/** Runs a sample on a device and on the reference backend, and compares. */
async function check(device: WebGpuDevice, op: Op, sample: Sample, gradients: boolean, exact = false) {
  const program: Program = sampleProgram(op, sample, gradients);
  const drawn = drawInputs(sample, 3).map((numbers) =>
    numbers instanceof Float64Array && exact ? numbers.map((v) => Math.round(v * 256) / 256) : numbers,
  );
  const inputs = { ...named(drawn), ...(gradients ? drawWeights(op, sample) : {}) };
  const want = await runOnce(new ReferenceDevice(), program, inputs);
  const got = await runOnce(device, program, inputs);
  const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
  for (const [name, numbers] of Object.entries(want))
    expect(relativeError(got[name] ?? new Float32Array(), numbers), `${op.name} ${name}`).toBeLessThan(
      tolerance,
    );
  expect(await runOnce(device, program, inputs), `${op.name} again`).toEqual(got);
}

describe.skipIf(noWebGpu !== '')(`without subgroups and without Dawn's robustness ${noWebGpu}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await WebGpuDevice.create({ gpu: gpus.unguarded, subgroups: false });
    await poison(device);
  });
  afterAll(() => device.dispose());
  it('has no subgroups', () => expect(device.capabilities.subgroups).toBeUndefined());
  // Of many products, some of each kind are enough.
  const products = new Set([0, 1, 2, 10, 11, 16]);
  const here = samples.filter((given) => given.op.name !== 'matmul' || products.has(given.s));
  for (const { op, sample, s, gradients } of here)
    it(`${op.name} ${s}`, () => check(device, op, sample, gradients));
});

const fewRows: Sample = {
  attrs: { transposeA: false, transposeB: true, bias: false, accumulate: [] },
  inputs: [{ shape: [3, 300] }, { shape: [10, 300] }],
};

/** Samples of an op, by their numbers. */
const some = (name: string, ...numbers: number[]) =>
  samples.filter(({ op, s }) => op.name === name && (numbers.length === 0 || numbers.includes(s)));

describe.skipIf(noWebGpu !== '')(`emulated on a software GPU ${noWebGpu}`, () => {
  const sums = [
    ...['layerNorm', 'layerNormGrad', 'softmax', 'softmaxGrad', 'reduce', 'globalNorm'].flatMap((n) =>
      some(n, 0),
    ),
    ...some('tokenLogProbs', 1),
    { op: matmulOp, sample: fewRows },
  ];
  for (const [lanes, least] of [
    [8, 4],
    [64, 64],
    [128, 32],
  ])
    it(`sums in subgroups of ${lanes}, on an adapter with subgroups from ${least}`, async () => {
      const device = await WebGpuDevice.create({ gpu: await emulatedGpu(subgroupsOf(lanes ?? 0, least)) });
      expect(device.capabilities.subgroups).toBe(least);
      for (const { op, sample } of sums) await check(device, op, sample, false);
      await device.dispose();
    });

  const larger = [...some('matmul', 13), ...some('weightGrad', 2)];
  it('products of float16', async () => {
    const device = await WebGpuDevice.create({ gpu: await emulatedGpu(halves), products: 'f16' });
    expect(device.description).toMatch(/; products of float16$/);
    for (const { op, sample } of larger) await check(device, op, sample, false, true);
    await device.dispose();
  });

  it('products by subgroup matrices', async () => {
    const gpu = await emulatedGpu(matricesOf([16, 16, 16], 16));
    const device = await WebGpuDevice.create({ gpu, products: 'auto', subgroups: false });
    expect(device.description).toMatch(/; products of float16 by subgroup matrices$/);
    for (const { op, sample } of larger) await check(device, op, sample, false, true);
    await device.dispose();
  });

  // Right results on trial are what is tested here.
  for (const [shape, lanes] of [
    [[8, 16, 16], 4],
    [[8, 8, 8], 8],
  ] as const)
    it(`products by subgroup matrices ${shape.join(' × ')} in subgroups smaller than the largest`, async () => {
      const gpu = await emulatedGpu(matricesOf(shape, lanes));
      const device = await WebGpuDevice.create({ gpu, products: 'subgroup-matrix', subgroups: false });
      const [m, n, k] = shape;
      expect(device.capabilities.products).toEqual({ m, n, k, lanes: 16 });
      await device.dispose();
    });

  it('subgroup matrices with wrong results are not used', async () => {
    const gpu = await emulatedGpu(matricesOf([16, 16, 16], 16, '-'));
    const device = await WebGpuDevice.create({ gpu, products: 'auto', subgroups: false });
    expect(device.capabilities.products).toBe('f16');
    expect(device.description).toMatch(
      /no subgroup matrices: products on trial gave \S+ instead of \S+ as y\[0\]/,
    );
    await device.dispose();
  });

  it('what the adapter lacks is refused where it is named, and told where it is not', async () => {
    const none = 'the adapter has no shader-f16';
    await expect(WebGpuDevice.create({ products: 'f16' })).rejects.toThrow(none);
    const device = await WebGpuDevice.create({ products: 'auto' });
    expect(device.capabilities.products).toBe('f32');
    expect(device.description).toContain(`products in float32; no subgroup matrices: ${none}`);
    await device.dispose();
  });
});
