import { afterAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/backend.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { WasmDevice } from '../../engine/wasm/device.ts';
import type { Op, Sample } from '../../engine/op.ts';
import { ops } from '../../engine/ops/index.ts';
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
import { wasmVariants } from './wasmVariants.ts';

const reference = new ReferenceDevice();

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

describe('every kernel agrees with the reference backend', async () => {
  const made = await Promise.all(wasmVariants.map((options) => WasmDevice.create(options)));
  afterAll(async () => {
    for (const device of made) await device.dispose();
  });
  for (const op of ops.filter((o) => o.samples.length > 0))
    op.samples.forEach((sample, s) => {
      it(`${op.name} ${s}`, async () => {
        const want = await everyOutput(reference, op, sample, s + 1);
        const first = new Map<string, Record<string, Numbers>>();
        for (const device of made) {
          await poison(device);
          const got = await everyOutput(device, op, sample, s + 1);
          const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
          for (const [name, numbers] of Object.entries(want))
            expect(
              relativeError(got[name] ?? new Float32Array(), numbers),
              `${name}, ${device.description}`,
            ).toBeLessThan(tolerance);
          const same = first.get(device.simd) ?? got;
          first.set(device.simd, same);
          expect(got, `threads and tiles change no bit, ${device.description}`).toEqual(same);
        }
      });
    });
});
