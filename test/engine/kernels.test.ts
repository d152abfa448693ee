import { afterAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/backend.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
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
import { onEach, openVariants } from './wasmVariants.ts';

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
  const made = await openVariants();
  afterAll(async () => {
    for (const device of made) await device.dispose();
  });
  for (const op of ops.filter((o) => o.samples.length > 0))
    op.samples.forEach((sample, s) => {
      it(`${op.name} ${s}`, async () => {
        const want = await everyOutput(reference, op, sample, s + 1);
        const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
        const results = await onEach(made, async (device) => {
          await poison(device);
          return everyOutput(device, op, sample, s + 1);
        });
        for (const { name, got, first } of results) {
          for (const [output, numbers] of Object.entries(want))
            expect(
              relativeError(got[output] ?? new Float32Array(), numbers),
              `${output}, ${name}`,
            ).toBeLessThan(tolerance);
          expect(got, `threads and tiles change no bit, ${name}`).toEqual(first);
        }
      });
    });
});
