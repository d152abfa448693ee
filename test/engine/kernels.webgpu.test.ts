import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Variable, bf16, compile, f32, i32, linear, product, reshape } from '../../engine/index.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import type { WebGpuDevice } from '../../engine/webgpu/device.ts';
import { ops } from '../../engine/ops/index.ts';
import {
  drawInputs,
  drawWeights,
  named,
  poison,
  random,
  reductionLength,
  relativeError,
  runOnce,
  sampleProgram,
} from './samples.ts';
import { noWebGpu, openWebGpu } from './webgpu.ts';

describe.skipIf(noWebGpu !== '')(`every shader agrees with the reference backend ${noWebGpu}`, () => {
  const reference = new ReferenceDevice();
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await openWebGpu();
  });
  afterAll(() => device.dispose());

  it('whole numbers come back as they are', async () => {
    const numbers = [3, -7, 1 << 24, 0];
    const variable = new Variable('ids', i32([2, 2]));
    device.write(variable, numbers);
    expect([...(await device.read(variable))]).toEqual(numbers);
    const program = compile('whole', { x: i32([4]) }, ({ x }) => ({ outputs: { y: reshape(x, [2, 2]) } }));
    const { y } = await runOnce(device, program, { x: Int32Array.from(numbers) });
    expect([...(y ?? [])]).toEqual(numbers);
    device.free(variable);
  });

  // [rows, columns, depth] of a product: each alone is no multiple of the tile's.
  for (const [m, n, k] of [
    [70, 128, 32],
    [64, 73, 32],
    [64, 128, 41],
  ] as const)
    it(`products ${m} × ${n} × ${k}, of whose rows or depth not all are true`, async () => {
      const types = {
        a: f32([m, k], 'rows'),
        b: f32([n, k]),
        c: f32([k, m], 'depth'),
        d: f32([k, n], 'depth'),
      };
      const program = compile('products', types, ({ a, b, c, d }) => ({
        outputs: { y: linear(a, b), z: product(c, d, true) },
      }));
      const next = random(m);
      const draw = (count: number) => Float32Array.from({ length: count }, () => next() - 0.5);
      const inputs = {
        ...{ a: draw((m - 2) * k), b: draw(n * k) },
        ...{ c: draw((k - 3) * m), d: draw((k - 3) * n) },
      };
      const want = await runOnce(reference, program, inputs);
      await poison(device);
      const got = await runOnce(device, program, inputs);
      for (const [name, numbers] of Object.entries(want))
        expect(relativeError(got[name] ?? [], numbers), name).toBeLessThan(1e-5);
    });

  it('numbers of bf16 come back rounded to nearest', async () => {
    const variable = new Variable('odd', bf16([5]));
    device.write(variable, [1 + 2 ** -9, -3.5, 0, 1e30, 1 + 2 ** -7 + 2 ** -8]);
    expect([...(await device.read(variable))]).toEqual([1, -3.5, 0, 2 ** 92 * 202, 1 + 2 ** -6]);
    device.free(variable);
  });

  for (const op of ops.filter((o) => o.samples.length > 0))
    op.samples.forEach((sample, s) => {
      it(`${op.name} ${s}`, async () => {
        const gradients = op.gradient !== undefined;
        const program = sampleProgram(op, sample, gradients);
        const inputs = { ...named(drawInputs(sample, s + 1)), ...(gradients ? drawWeights(op, sample) : {}) };
        const want = await runOnce(reference, program, inputs);
        await poison(device);
        const got = await runOnce(device, program, inputs);
        const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
        for (const [name, numbers] of Object.entries(want))
          expect(relativeError(got[name] ?? new Float32Array(), numbers), name).toBeLessThan(tolerance);
        expect(await runOnce(device, program, inputs), 'run again').toEqual(got);
      });
    });
});
