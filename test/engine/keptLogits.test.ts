import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/index.ts';
import {
  ReferenceDevice,
  Variable,
  WasmDevice,
  compile,
  f32,
  grad,
  i32,
  mul,
  sum,
  tokenLogProbs,
  tokenLogProbsWithStatistics,
} from '../../engine/index.ts';
import { TraceDevice } from '../../engine/webgpu/trace.ts';
import { poison, random, relativeError } from './samples.ts';
import { noWebGpu, openWebGpu } from './webgpu.ts';

/** Log-probs, statistics and gradients of n of `capacity` rows, whose logits are kept or computed again. */
async function head(
  device: Device,
  [n, capacity, c, v]: readonly [number, number, number, number],
  { keepLogits, frozen }: { keepLogits: boolean; frozen: boolean },
): Promise<Record<string, Numbers>> {
  const weight = new Variable('weight', f32([v, c]));
  const types = {
    hidden: f32([capacity, c], 'heads'),
    labels: i32([capacity], 'heads'),
    by: f32([capacity], 'heads'),
  };
  const program = compile('head', types, ({ hidden, labels, by }) => {
    const options = { keepLogits };
    const { logps, statistics } = tokenLogProbsWithStatistics(hidden, weight.tensor, labels, options);
    const plain = sum(mul(by, tokenLogProbs(hidden, weight.tensor, labels, options)));
    const [dHidden, dWeight] = grad(sum(mul(by, logps)), frozen ? [hidden] : [hidden, weight.tensor]);
    const [again] = grad(plain, [hidden]);
    return { outputs: { logps, statistics, dHidden, again, ...(frozen ? {} : { dWeight }) } };
  });
  const next = random(11);
  const numbers = (count: number) => Float32Array.from({ length: count }, () => 2 * next() - 1);
  device.write(weight, numbers(v * c));
  await poison(device);
  const executable = await device.load(program);
  const inputs = { hidden: numbers(n * c), by: numbers(n), labels: new Int32Array(n) };
  inputs.labels.forEach((_, i) => (inputs.labels[i] = Math.floor(next() * v)));
  const outputs = await executable.run(inputs);
  executable.dispose();
  device.free(weight);
  return outputs;
}

const sizes = [
  [1, 1, 3, 2],
  [0, 9, 33, 97],
  [63, 70, 64, 1101],
  [33, 33, 20, 7001],
] as const;

/** Matrix products of a head and its gradient on WebGPU, whose chunk holds the whole vocabulary here. */
async function products(keepLogits: boolean, frozen: boolean): Promise<number> {
  const device = new TraceDevice();
  const weight = new Variable('weight', f32([96, 32]));
  const types = { hidden: f32([64, 32]), labels: i32([64]) };
  const program = compile('head', types, ({ hidden, labels }) => {
    const loss = sum(tokenLogProbs(hidden, weight.tensor, labels, { keepLogits }));
    const [dHidden, dWeight] = grad(loss, frozen ? [hidden] : [hidden, weight.tensor]);
    return { outputs: { dHidden, ...(frozen ? {} : { dWeight }) } };
  });
  await device.load(program);
  return device.traces.flatMap(({ dispatches }) => dispatches.filter((d) => d.shader === 'matmul')).length;
}

describe('logits that are kept for the gradient', () => {
  it('save one product', async () => {
    expect([await products(false, false), await products(true, false)]).toEqual([4, 3]);
    expect([await products(false, true), await products(true, true)]).toEqual([3, 2]);
  });

  const reference = new ReferenceDevice();

  describe('on WebAssembly change no bit', () => {
    let devices: readonly Device[];
    beforeAll(async () => {
      devices = await Promise.all([
        WasmDevice.create({ simd: 'plain', threads: 3 }),
        WasmDevice.create({ simd: 'relaxed', threads: 1 }),
      ]);
    });
    afterAll(() => Promise.all(devices.map((device) => device.dispose())));

    for (const size of sizes)
      for (const frozen of [false, true])
        it(`${size.join()}${frozen ? ', frozen' : ''}`, async () => {
          for (const device of devices) {
            const kept = await head(device, size, { keepLogits: true, frozen });
            expect(kept).toEqual(await head(device, size, { keepLogits: false, frozen }));
          }
        });
  });

  describe.skipIf(noWebGpu !== '')(`on WebGPU agree with the reference backend ${noWebGpu}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await openWebGpu();
    });
    afterAll(() => device.dispose());

    // At the last capacity a chunk of the vocabulary has 64 entries.
    for (const size of [...sizes, [7, 1 << 18, 3, 150]] as const)
      for (const frozen of [false, true])
        it(`${size.join()}${frozen ? ', frozen' : ''}`, async () => {
          const want = await head(reference, size, { keepLogits: false, frozen });
          const got = await head(device, size, { keepLogits: true, frozen });
          for (const [name, numbers] of Object.entries(want))
            expect(relativeError(got[name] ?? [], numbers), name).toBeLessThan(2e-5);
        });
  });
});
