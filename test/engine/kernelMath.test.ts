import { afterAll, describe, expect, it } from 'vitest';
import { WasmDevice } from '../../engine/wasm/device.ts';
import type { Op } from '../../engine/op.ts';
import * as elementwise from '../../engine/ops/elementwise.ts';
import { random, runOnce, sampleProgram } from './samples.ts';

const LEAST_NORMAL = 2 ** -126;
const next = random(3);
const between = (a: number, b: number) => () => a + (b - a) * next();
const magnitudes = (a: number, b: number) => () => Math.exp(a + (b - a) * next());
const signed = (draw: () => number) => () => (next() < 0.5 ? -1 : 1) * draw();

/** Where each function is checked, and its values at the ends of the float range. */
const cases: [Op, () => number, (readonly [number, number])[]][] = [
  [
    elementwise.expOp,
    between(-104, 89),
    [
      [-Infinity, 0],
      [Infinity, Infinity],
      [-200, 0],
      [200, Infinity],
      [0, 1],
    ],
  ],
  [
    elementwise.logOp,
    magnitudes(-103, 88),
    [
      [0, -Infinity],
      [Infinity, Infinity],
      [-1, NaN],
      [1, 0],
    ],
  ],
  [elementwise.logOp, between(0.99, 1.01), []],
  [
    elementwise.tanhOp,
    signed(magnitudes(-100, 4)),
    [
      [-Infinity, -1],
      [Infinity, 1],
      [-0, -0],
    ],
  ],
  [
    elementwise.sigmoidOp,
    between(-87, 100),
    [
      [-Infinity, 0],
      [Infinity, 1],
      [0, 0.5],
    ],
  ],
  [elementwise.logSigmoidOp, between(-100, 80), [[-Infinity, -Infinity]]],
  [elementwise.logSigmoidOp, magnitudes(-60, 4), []],
];

describe('exp, log, tanh and sigmoid are right to three units in the last place', async () => {
  const devices = await Promise.all(
    (['plain', 'relaxed'] as const).map((simd) => WasmDevice.create({ simd, threads: 1 })),
  );
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });
  cases.forEach(([op, draw, ends], at) => {
    it(`${op.name} ${at}`, async () => {
      const given = [[NaN, NaN] as const, ...ends];
      const x = Float64Array.from({ length: 20_001 + given.length }, (_, i) =>
        Math.fround(i < given.length ? (given[i]?.[0] ?? 0) : draw()),
      );
      const want = { shape: [x.length], data: new Float64Array(x.length) };
      op.define([{ shape: [x.length], data: x }], [want], {});
      const program = sampleProgram(op, { attrs: {}, inputs: [{ shape: [x.length] }] }, false);
      for (const device of devices) {
        const got = (await runOnce(device, program, { input0: x })).output0 ?? new Float32Array();
        given.forEach(([input, value], i) => expect(got[i], `${op.name}(${input})`).toBe(value));
        let worst = 0;
        for (let i = given.length; i < x.length; i++) {
          const exact = want.data[i] ?? 0;
          if (Math.fround(exact) === got[i]) continue;
          worst = Math.max(
            worst,
            Math.abs((got[i] ?? NaN) - exact) / Math.max(Math.abs(exact), LEAST_NORMAL),
          );
        }
        expect(worst, device.description).toBeLessThan(3 * 2 ** -24 + 1e-8);
      }
    });
  });
});
