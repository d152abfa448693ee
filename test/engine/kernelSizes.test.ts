import { afterAll, describe, expect, it } from 'vitest';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { WasmDevice } from '../../engine/wasm/device.ts';
import type { Op, Sample, SampleInput } from '../../engine/op.ts';
import * as o from '../../engine/ops/index.ts';
import { drawInputs, named, relativeError, runOnce, sampleProgram } from './samples.ts';

// Widths around the kernels' vectors (4), unrolled turns (16), strips (32) and pieces (1024).
const WIDTHS = [1, 3, 5, 17, 33, 1030];
// True rows of a capacity of 37: none, one, and one more than a chunk of the norms' gradients and three.
const ROWS = [0, 1, 36];
const CAPACITY = 37;

const x = (width: number, more: Partial<SampleInput> = {}): SampleInput => ({
  shape: [CAPACITY, width],
  rows: 'tokens',
  ...more,
});
const perRow = (more: Partial<SampleInput> = {}): SampleInput => ({
  shape: [CAPACITY],
  rows: 'tokens',
  ...more,
});

/** Ops on rows of any width, with the inputs that they take besides. */
const byWidth: [Op, (width: number) => readonly SampleInput[], object?][] = [
  [o.reluOp, (w) => [x(w)]],
  [o.addOp, (w) => [x(w), x(w)]],
  [o.mulOp, (w) => [x(w), { shape: [w] }]],
  [o.subOp, (w) => [x(1), x(w)]],
  [o.affineOp, (w) => [x(w)], { scale: 3, shift: -1 }],
  [o.splitOp, (w) => [x(w + 3)], { split: true }],
  [o.reduceOp, (w) => [x(w)], { from: 0, to: 1, mean: false }],
  [o.reduceOp, (w) => [x(w)], { from: 0, to: 2, mean: false }],
  [o.reduceOp, (w) => [x(w)], { from: 1, to: 2, mean: true }],
  [o.gatherRowsOp, (w) => [{ shape: [11, w] }, perRow({ int: 11 })]],
  [o.scatterAddRowsOp, (w) => [x(w), perRow({ int: 3 })], { length: 5, accumulate: [] }],
  [o.layerNormOp, (w) => [x(w), { shape: [w] }, { shape: [w] }], { eps: 1e-2 }],
  [
    o.layerNormGradOp,
    (w) => [x(w), { shape: [w] }, perRow(), perRow({ positive: true }), x(w)],
    { accumulate: [] },
  ],
  [o.rmsNormOp, (w) => [x(w), { shape: [w] }], { eps: 1e-2 }],
  [o.rmsNormGradOp, (w) => [x(w), { shape: [w] }, perRow({ positive: true }), x(w)], { accumulate: [] }],
  [o.geluGradOp, (w) => [x(w), x(w)]],
  [o.geluErfGradOp, (w) => [x(w), x(w)]],
  [o.swigluGradOp, (w) => [x(w), x(w), x(w)]],
  [o.softmaxOp, (w) => [x(w)]],
  [o.softmaxGradOp, (w) => [x(w), x(w)]],
  [o.dropoutOp, (w) => [x(w), { shape: [1], int: 1000 }], { p: 0.4, salt: 9 }],
];

const samples: [Op, Sample][] = byWidth.flatMap(([op, inputs, attrs = {}]) =>
  WIDTHS.flatMap((width) =>
    ROWS.map((tokens): [Op, Sample] => [
      op,
      {
        attrs: 'split' in attrs ? { sizes: [1, width, 2] } : { ...attrs },
        inputs: inputs(width),
        counts: { tokens },
      },
    ]),
  ),
);

describe('kernels on sizes that hurt', async () => {
  const reference = new ReferenceDevice();
  const devices = await Promise.all([
    WasmDevice.create({ simd: 'plain', threads: 1 }),
    WasmDevice.create({ simd: 'plain', threads: 3 }),
  ]);
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });
  for (const op of new Set(samples.map(([sampled]) => sampled)))
    it(`${op.name}, widths ${WIDTHS.join()} × true rows ${ROWS.join()}`, async () => {
      for (const [, sample] of samples.filter(([sampled]) => sampled === op)) {
        const program = sampleProgram(op, sample, false);
        const inputs = named(drawInputs(sample));
        const want = await runOnce(reference, program, inputs);
        const [one, three] = await Promise.all(devices.map((device) => runOnce(device, program, inputs)));
        const size = `[${sample.inputs[0]?.shape.join()}], ${sample.counts?.tokens} rows`;
        for (const [name, numbers] of Object.entries(want))
          expect(
            relativeError(one?.[name] ?? new Float32Array(), numbers),
            `${name} of ${size}`,
          ).toBeLessThan(2e-5);
        expect(three, `${size}: threads change no bit`).toEqual(one);
      }
    });
});
