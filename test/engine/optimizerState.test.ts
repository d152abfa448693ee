import { afterAll, describe, expect, it } from 'vitest';
import { roundRandomly, toBfloat16 } from '../../engine/bfloat16.ts';
import type { Device, Numbers } from '../../engine/index.ts';
import {
  ReferenceDevice,
  Variable,
  WasmDevice,
  add,
  bf16,
  bytesOf,
  compile,
  f32,
  fill,
  hyperValues,
  optimize,
} from '../../engine/index.ts';
import { HYPER_FIELDS } from '../../engine/ops/optimizer.ts';
import { random } from './samples.ts';

// Moments in bfloat16, rounded at random.

const reference = new ReferenceDevice();
const devices = await Promise.all([
  WasmDevice.create({ simd: 'plain', threads: 1 }),
  WasmDevice.create({ simd: 'plain', threads: 2 }),
  WasmDevice.create({ simd: 'plain', threads: 3 }),
  WasmDevice.create({ simd: 'relaxed', threads: 2 }),
]);
const [solo] = devices;
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

type Name = 'adamw' | 'rmsprop';
const hyper = { learningRate: 0.01, weightDecay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, alpha: 0.99 };

interface State {
  readonly param: readonly number[];
  readonly grad: readonly number[];
  readonly moments: readonly (readonly number[])[];
}

/** Parameter and moments after some steps with the same gradient. */
async function stepped(device: Device, name: Name, state: State, steps = 1): Promise<Numbers[]> {
  const shape = [state.param.length];
  const param = new Variable('param', f32(shape));
  const moments = state.moments.map((_, i) => new Variable(`moment${i}`, bf16(shape)));
  device.write(param, state.param);
  moments.forEach((m, i) => device.write(m, state.moments[i]));
  const types = { grad: f32(shape), hyper: f32([HYPER_FIELDS.length]) };
  const program = compile('step', types, (given) => {
    const old = moments.map((m) => m.tensor);
    const values = optimize(name, param.tensor, given.grad, old, given.hyper, fill(f32([]), 1), true);
    return { updates: [param, ...moments].map((variable, i) => ({ variable, value: values[i] })) };
  });
  const executable = await device.load(program);
  for (let step = 1; step <= steps; step++) {
    const [correction1, correction2] = [1 - hyper.beta1 ** step, 1 - hyper.beta2 ** step];
    const given = hyperValues({ ...hyper, correction1, correction2, roundingSeed: 1000 + step });
    await executable.run({ grad: state.grad, hyper: given });
  }
  executable.dispose();
  const results: Numbers[] = [];
  for (const v of [param, ...moments]) results.push(await device.read(v));
  for (const v of [param, ...moments]) device.free(v);
  return results;
}

const drawn = (n: number, seed: number, least: number): number[] => {
  const next = random(seed);
  return Array.from({ length: n }, () => Math.fround(least + 2 * next()));
};
const constant = (n: number, value: number): number[] => new Array<number>(n).fill(value);
const meanOf = (numbers: Numbers): number => [...numbers].reduce((a, b) => a + b, 0) / numbers.length;

describe('an update with moments in bf16', () => {
  for (const name of ['adamw', 'rmsprop'] as const)
    for (const n of [1, 2, 3, 6, 17, 4099, 20_011])
      it(`${name} of ${n} is the reference's, with the same bits on any number of threads`, async () => {
        const state = {
          param: drawn(n, 1, -1),
          grad: drawn(n, 2, -1),
          moments: [drawn(n, 3, name === 'adamw' ? -1 : 0), drawn(n, 4, 0)].slice(
            0,
            name === 'adamw' ? 2 : 1,
          ),
        };
        const want = await stepped(reference, name, state);
        const got = await Promise.all(devices.map((device) => stepped(device, name, state)));
        for (const [param, ...moments] of got) {
          expect(Math.max(...param.map((x, i) => Math.abs(x - want[0][i])))).toBeLessThan(2e-6);
          moments.forEach((m, k) => {
            const differ = m.filter((x, i) => x !== want[k + 1][i]);
            // Where float32's last bit decides, the other neighbour is as right.
            expect(differ.length).toBeLessThanOrEqual(n / 1000);
            const farthest = Math.max(...m.map((x, i) => Math.abs(x / want[k + 1][i] - 1)));
            expect(farthest).toBeLessThanOrEqual(2 ** -7);
          });
        }
        expect(got[1], 'two threads').toEqual(got[0]);
        expect(got[2], 'three threads').toEqual(got[0]);
      });

  it('is right in the mean', async () => {
    const n = 40_000;
    const state = {
      param: constant(n, 0),
      grad: constant(n, 0.3),
      moments: [constant(n, 1), constant(n, 1)],
    };
    const [, m, v] = await stepped(solo, 'adamw', state);
    for (const [moment, exact] of [
      [m, 0.9 + 0.1 * 0.3],
      [v, 0.999 + 0.001 * 0.09],
    ] as const) {
      // Neighbours are 2^-8 apart; five standard errors of their mean.
      expect(new Set(moment).size).toBe(2);
      expect(Math.abs(meanOf(moment) - exact)).toBeLessThan((5 * 2 ** -9) / Math.sqrt(n));
    }
  });

  it('does not stall: v comes down from 4 to the square of a constant gradient, where nearest rounding stays', async () => {
    const [n, steps] = [256, 6000];
    const state = { param: constant(n, 0), grad: constant(n, 1), moments: [constant(n, 1), constant(n, 4)] };
    const [, , v] = await stepped(solo, 'adamw', state, steps);
    const exact = 1 + 3 * hyper.beta2 ** steps;
    expect(Math.abs(meanOf(v) / exact - 1)).toBeLessThan(0.005);
    expect(Math.max(...v.map((x) => Math.abs(x / exact - 1)))).toBeLessThan(0.1);
    expect(toBfloat16(hyper.beta2 * 4 + (1 - hyper.beta2))).toBe(toBfloat16(4));
  });
});

describe('bf16', () => {
  it('rounds at random to the two neighbours alone, and leaves infinity and NaN', () => {
    const x = 1 + 2 ** -9; // a quarter of the way from 1 to 1 + 2^-7
    const rounded = Array.from({ length: 65536 }, (_, bits) => roundRandomly(x, bits));
    expect(rounded.filter((y) => y === 1).length).toBe(49152);
    expect(rounded.filter((y) => y === 1 + 2 ** -7).length).toBe(16384);
    expect(roundRandomly(-x, 65535)).toBe(-1 - 2 ** -7);
    for (const bits of [0, 65535]) {
      expect(roundRandomly(-Infinity, bits)).toBe(-Infinity);
      expect(roundRandomly(NaN, bits)).toBeNaN();
      expect(roundRandomly(1.5, bits)).toBe(1.5);
    }
  });

  it('is written to a device rounded to nearest, in half the memory, and read back exactly', async () => {
    const variable = new Variable('odd', bf16([5]));
    expect(bytesOf(variable.type)).toBe(12);
    expect(bytesOf(bf16([1000, 2]))).toBe(4000);
    for (const device of [reference, solo]) {
      device.write(variable, [1 + 2 ** -9, -3.5, 0, 1e-40, 1 + 2 ** -7 + 2 ** -8]);
      expect([...(await device.read(variable))]).toEqual([1, -3.5, 0, 2 ** -133, 1 + 2 ** -6]);
      device.free(variable);
    }
  });

  it('is nothing that ops compute with', () => {
    const kept = new Variable('kept', bf16([4])).tensor;
    const x = new Variable('x', f32([4])).tensor;
    expect(() => add(x, kept)).toThrow('add: takes no input of bf16, got [4] of bf16');
    const one = fill(f32([]), 1);
    const given = new Variable('hyper', f32([HYPER_FIELDS.length])).tensor;
    expect(() => optimize('adamw', x, x, [x, kept], given, one, true)).toThrow(
      /parameter, gradient and moments differ, got \[4\], \[4\], \[4\], \[4\] of bf16/,
    );
    expect(() => optimize('adamw', kept, x, [kept, kept], given, one, true)).toThrow(
      /takes no input of bf16/,
    );
  });
});
