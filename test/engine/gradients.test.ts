import { describe, expect, it } from 'vitest';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { ops } from '../../engine/ops/index.ts';
import { drawInputs, drawWeights, named, runOnce, sampleProgram } from './samples.ts';

const device = new ReferenceDevice();
const STEP = 1e-5;
/** Gradient entries that are compared for each input. */
const PROBES = 12;

describe('every gradient agrees with central differences in float64', () => {
  for (const op of ops.filter((o) => o.gradient !== undefined && o.samples.length > 0))
    op.samples.forEach((sample, s) => {
      it(`${op.name} ${s}`, async () => {
        const inputs = drawInputs(sample, s + 1);
        const weights = drawWeights(op, sample);
        const program = sampleProgram(op, sample, true);
        const lossAt = async (which: number, index: number, delta: number): Promise<number> => {
          const moved = inputs.map((x, i) => {
            if (i !== which) return x;
            const copy = Float64Array.from(x);
            copy[index] = (copy[index] ?? 0) + delta;
            return copy;
          });
          const { loss } = await runOnce(device, program, { ...named(moved), ...weights });
          return loss?.[0] ?? NaN;
        };
        const outputs = await runOnce(device, program, { ...named(inputs), ...weights });
        for (const [which, x] of inputs.entries()) {
          if (x instanceof Int32Array) continue;
          const gradient = outputs[`grad${which}`];
          expect(gradient?.length).toBe(x.length);
          if (!gradient || (['rope'].includes(op.name) && which >= 2)) continue;
          const scale = Math.max(1e-3, ...gradient.map(Math.abs));
          const stride = Math.max(1, Math.floor(x.length / PROBES));
          for (let i = 0; i < x.length; i += stride) {
            const numeric = ((await lossAt(which, i, STEP)) - (await lossAt(which, i, -STEP))) / (2 * STEP);
            expect(
              Math.abs(numeric - (gradient[i] ?? NaN)) / scale,
              `input ${which}, element ${i}`,
            ).toBeLessThan(1e-6);
          }
        }
      });
    });
});
