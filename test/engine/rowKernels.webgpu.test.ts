import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import type { Op, Sample, SampleInput } from '../../engine/op.ts';
import * as o from '../../engine/ops/index.ts';
import type { WebGpuDevice } from '../../engine/webgpu/device.ts';
import { drawInputs, named, poison, relativeError, runOnce, sampleProgram } from './samples.ts';
import { noWebGpu, openWebGpu } from './webgpu.ts';

// Widths around a team's threads (16, 32) and a workgroup's columns (256); of elementwise ops, those that fill no group.
const WIDTHS = [1, 17, 300, 1030];
const FEW_WIDTHS = [1, 33];
// True rows of a capacity of 37: none, one, and four more than two blocks of the norms' gradients.
const ROWS = [0, 1, 36];

const x = (width: number, rows = 37, more: Partial<SampleInput> = {}): SampleInput => ({
  ...{ shape: [rows, width], rows: 'tokens' },
  ...more,
});
const perRow = (rows = 37, more: Partial<SampleInput> = {}): SampleInput => ({
  ...{ shape: [rows], rows: 'tokens' },
  ...more,
});
const vector = (width: number): SampleInput => ({ shape: [width] });

const layerNormGradInputs = (w: number, rows?: number): SampleInput[] => [
  ...[x(w, rows), vector(w)],
  ...[perRow(rows), perRow(rows, { positive: true }), x(w, rows)],
];
const rmsNormGradInputs = (w: number, rows?: number): SampleInput[] => [
  ...[x(w, rows), vector(w), perRow(rows, { positive: true }), x(w, rows)],
];

const byWidth: [Op, (width: number) => readonly SampleInput[], Sample['attrs']?][] = [
  [o.layerNormOp, (w) => [x(w), vector(w), vector(w)], { eps: 1e-2 }],
  [o.layerNormGradOp, (w) => layerNormGradInputs(w), { accumulate: [] }],
  [o.rmsNormOp, (w) => [x(w), vector(w)], { eps: 1e-2 }],
  [o.rmsNormGradOp, (w) => rmsNormGradInputs(w), { accumulate: [] }],
  [o.softmaxOp, (w) => [x(w)]],
  [o.softmaxGradOp, (w) => [x(w), x(w)]],
];

const byElement: typeof byWidth = [
  [o.geluOp, (w) => [x(w)]],
  [o.geluGradOp, (w) => [x(w), x(w)]],
  [o.geluErfGradOp, (w) => [x(w), x(w)]],
  [o.swigluOp, (w) => [x(w), x(w)]],
  [o.swigluGradOp, (w) => [x(w), x(w), x(w)]],
  [o.dropoutOp, (w) => [x(w), { shape: [1], int: 1000 }], { p: 0.4, salt: -9 }],
];

describe.skipIf(noWebGpu !== '')(`shaders over rows, on sizes that hurt ${noWebGpu}`, () => {
  const reference = new ReferenceDevice();
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await openWebGpu();
  });
  beforeEach(() => poison(device));
  afterAll(() => device.dispose());

  async function check(op: Op, sample: Sample, tolerance = 1e-5): Promise<void> {
    const program = sampleProgram(op, sample, false);
    const inputs = named(drawInputs(sample));
    const want = await runOnce(reference, program, inputs);
    const got = await runOnce(device, program, inputs);
    const size = `[${sample.inputs[0]?.shape.join()}], ${sample.counts?.tokens ?? 'all'} rows`;
    for (const [name, numbers] of Object.entries(want))
      expect(relativeError(got[name] ?? new Float32Array(), numbers), `${name} of ${size}`).toBeLessThan(
        tolerance,
      );
    expect(await runOnce(device, program, inputs), `${size}: run again`).toEqual(got);
  }

  const sized = (widths: readonly number[], list: typeof byWidth) => {
    for (const [op, inputs, attrs = {}] of list)
      it(`${op.name}, widths ${widths.join()} × true rows ${ROWS.join()}`, async () => {
        for (const width of widths)
          for (const tokens of ROWS) await check(op, { attrs, inputs: inputs(width), counts: { tokens } });
      });
  };
  sized(WIDTHS, byWidth);
  sized(FEW_WIDTHS, byElement);

  it('rope, one head of two and three of ten', async () => {
    for (const [heads, headDim] of [
      [1, 2],
      [3, 10],
    ] as const)
      for (const tokens of ROWS)
        await check(o.ropeOp, {
          attrs: { headDim, inverse: tokens === 1 },
          inputs: [
            ...[x(heads * headDim), perRow(37, { int: 50 })],
            ...[{ shape: [50, headDim / 2] }, { shape: [50, headDim / 2] }],
          ],
          counts: { tokens },
        });
  });

  it('norms take rows of heads, and one row without a batch', async () => {
    await check(o.rmsNormOp, { attrs: { eps: 1e-5 }, inputs: [{ shape: [21] }, { shape: [21] }] });
    const heads = { shape: [9, 3, 20], rows: 'tokens' };
    const rstd = { shape: [9, 3], rows: 'tokens', positive: true };
    await check(o.rmsNormGradOp, {
      attrs: { accumulate: [0, 1] },
      inputs: [heads, vector(20), rstd, heads, heads, vector(20)],
      counts: { tokens: 7 },
    });
  });

  it("more rows than the norms' gradients have workgroups for blocks of", async () => {
    const counts = { tokens: 8211 };
    await check(o.layerNormGradOp, {
      attrs: { accumulate: [] },
      inputs: layerNormGradInputs(5, 8300),
      counts,
    });
  });

  it('a long row, and logits that only the maximum keeps finite', async () => {
    const attrs = {};
    await check(o.softmaxOp, { attrs, inputs: [{ shape: [1, 70_001] }] });
    await check(o.softmaxGradOp, { attrs, inputs: [{ shape: [2, 20_001] }, { shape: [2, 20_001] }] });
    await check(o.softmaxOp, {
      attrs,
      inputs: [{ shape: [2, 3], values: [-900, -901, -1000, 700, 690, -1e30] }],
    });
  });

  it('activations far from zero', async () => {
    const far = { shape: [8], values: [-1e6, -90, -12, -1e-3, 0, 5, 90, 1e6] };
    for (const op of [o.geluOp, o.geluErfOp]) await check(op, { attrs: {}, inputs: [far] });
    const dy = { shape: [8], values: [1, -1, 2, 1, 1, 1, 1, -1] };
    for (const op of [o.geluGradOp, o.geluErfGradOp]) await check(op, { attrs: {}, inputs: [far, dy] });
    await check(o.swigluOp, { attrs: {}, inputs: [far, dy] });
    await check(o.swigluGradOp, { attrs: {}, inputs: [far, dy, dy] });
  });

  it('dropout drops what the reference drops, for any salt and seed', async () => {
    for (const [salt, seed] of [
      [0x9000_0001, -1],
      [-7, 2 ** 31 - 1],
    ] as const)
      await check(o.dropoutOp, {
        attrs: { p: 0.1, salt },
        inputs: [{ shape: [300, 7] }, { shape: [1], dtype: 'i32', values: [seed] }],
      });
  });
});
