import { afterAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/backend.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { WasmDevice } from '../../engine/wasm/device.ts';
import type { Op, Sample } from '../../engine/op.ts';
import { compile } from '../../engine/compile.ts';
import { affine, exp, ops } from '../../engine/ops/index.ts';
import { f32 } from '../../engine/shape.ts';
import { drawInputs, drawWeights, named, relativeError, runOnce, sampleProgram } from './samples.ts';

const reference = new ReferenceDevice();
const devices = [
  { simd: 'plain', threads: 1 },
  { simd: 'plain', threads: 2 },
  { simd: 'plain', threads: 3 },
  { simd: 'relaxed', threads: 2 },
] as const;

/** Length of the longest sum in the op, which the tolerance grows with. */
const reductionLength = (sample: Sample): number =>
  Math.max(...sample.inputs.map((s) => Math.max(1, ...s.shape)), 1);

async function everyOutput(
  device: Device,
  op: Op,
  sample: Sample,
  seed: number,
): Promise<Record<string, Numbers>> {
  const gradients = op.gradient !== undefined;
  const program = sampleProgram(op, sample, gradients);
  return runOnce(device, program, {
    ...named(drawInputs(sample, seed)),
    ...(gradients ? drawWeights(op, sample) : {}),
  });
}

/** Leaves NaN all over the arena that programs share, so that reading what was not written shows. */
async function poison(device: Device): Promise<void> {
  const [n, type] = [1 << 20, f32([1 << 20])];
  const program = compile('poison', { x: type }, ({ x }) => ({ outputs: { y: exp(affine(x, 2)) } }));
  const executable = await device.load(program);
  await executable.run({ x: new Float32Array(n).fill(NaN) });
  executable.dispose();
}

describe('every kernel agrees with the reference backend', async () => {
  const made = await Promise.all(devices.map((options) => WasmDevice.create(options)));
  afterAll(async () => {
    for (const device of made) await device.dispose();
  });
  for (const op of ops.filter((o) => o.samples.length > 0))
    op.samples.forEach((sample, s) => {
      it(`${op.name} ${s}`, async () => {
        const want = await everyOutput(reference, op, sample, s + 1);
        const plain: Record<string, Numbers>[] = [];
        for (const [i, device] of made.entries()) {
          await poison(device);
          const got = await everyOutput(device, op, sample, s + 1);
          const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
          for (const [name, numbers] of Object.entries(want))
            expect(
              relativeError(got[name] ?? new Float32Array(), numbers),
              `${name}, ${device.description}`,
            ).toBeLessThan(tolerance);
          if (devices[i]?.simd === 'plain') plain.push(got);
        }
        for (const other of plain.slice(1)) expect(other, 'threads change no bit').toEqual(plain[0]);
      });
    });
});
