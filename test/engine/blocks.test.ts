import { afterAll, describe, expect, it } from 'vitest';
import type { Device, InputNumbers, Numbers, TensorType, BlockFormat } from '../../engine/index.ts';
import {
  ReferenceDevice,
  Variable,
  WasmDevice,
  add,
  compile,
  f32,
  gatherRows,
  grad,
  i32,
  linear,
  mean,
  mul,
  product,
  square,
  stored,
  sum,
  tokenLogProbs,
  tokenLogProbsWithStatistics,
  unpacked,
} from '../../engine/index.ts';
import { blockBytes, blockFormats, unpackBlocks } from '../../engine/blocks.ts';
import { random, relativeError } from './samples.ts';

const formats = Object.keys(blockFormats) as BlockFormat[];
const reference = new ReferenceDevice();
const devices = [
  await WasmDevice.create({ simd: 'plain', threads: 1 }),
  await WasmDevice.create({ simd: 'plain', threads: 3 }),
  await WasmDevice.create({ simd: 'relaxed', threads: 2 }),
];
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

/** Random blocks whose scales are numbers around 1/16, positive and negative. */
function randomBlocks(format: BlockFormat, numbers: number, seed: number): Uint8Array {
  const next = random(seed);
  const bytes = Uint8Array.from({ length: blockBytes(format, numbers) }, () => Math.floor(256 * next()));
  const scales = format === 'Q4_1' || format === 'Q4_K' ? 2 : 1;
  for (let at = 0; at < bytes.length; at += blockFormats[format].bytes)
    // 0x2c00 is 1/16; the lowest bits are random, so is the sign.
    for (let s = 0; s < scales; s++) bytes[at + 2 * s + 1] = 0x2c | (next() < 0.5 ? 0x80 : 0);
  return bytes;
}

const floats = (n: number, seed: number): Float32Array => {
  const next = random(seed);
  return Float32Array.from({ length: n }, () => next() - 0.5);
};

type Inputs = Readonly<Record<string, InputNumbers>>;
type Build = Parameters<typeof compile>[2];

/** A program's outputs with its weight in blocks, and with the same numbers as f32. */
async function both(
  device: Device,
  format: BlockFormat,
  shape: readonly [number, number],
  types: Readonly<Record<string, TensorType>>,
  inputs: Inputs,
  build: (weight: Variable) => Build,
): Promise<{ packed: Record<string, Numbers>; plain: Record<string, Numbers> }> {
  const bytes = randomBlocks(format, shape[0] * shape[1], 7);
  const run = async (weight: Variable, numbers: InputNumbers | Uint8Array) => {
    device.write(weight, numbers);
    const executable = await device.load(compile('blocks', types, build(weight)));
    const outputs = await executable.run(inputs);
    executable.dispose();
    device.free(weight);
    return outputs;
  };
  return {
    packed: await run(new Variable('weight', stored(shape, format)), bytes),
    plain: await run(new Variable('weight', f32(shape)), unpackBlocks(format, bytes)),
  };
}

type Args = Parameters<typeof both> extends [Device, ...infer Rest] ? Rest : never;

/** The outputs are those of the f32 weights to the last bit, on every device. */
async function expectSame(...args: Args): Promise<Record<string, Numbers>[]> {
  const all: Record<string, Numbers>[] = [];
  for (const device of devices) {
    const { packed, plain } = await both(device, ...args);
    expect(packed, device.description).toEqual(plain);
    all.push(packed);
  }
  return all;
}

/** And they are the reference's, nearly. */
async function check(...args: Args): Promise<void> {
  const { plain: want, packed } = await both(reference, ...args);
  expect(packed).toEqual(want);
  for (const got of await expectSame(...args))
    for (const [name, numbers] of Object.entries(want))
      expect(relativeError(got[name] ?? new Float32Array(), numbers), name).toBeLessThan(3e-5);
}

describe.each(formats)('a weight in blocks of %s', (format) => {
  const { size } = blockFormats[format];
  /** Rows in and out of a product: around panels, strips of 64, blocks of 384, and few. */
  const cases = [
    [40, 72, size],
    [33, 101, 2 * size],
    [100, 64, size],
    [25, 40, size === 32 ? 19 * 32 : 3 * size],
    [5, 37, 2 * size],
    [1, 64, size],
  ] as const;

  it.each(cases)('multiplies [%i, k] × [%i, %i]ᵀ, and its gradient', async (m, n, k) => {
    const types = { x: f32([m + 3, k], 'tokens'), bias: f32([n]), base: f32([m + 3, n], 'tokens') };
    const inputs = { x: floats(m * k, 1), bias: floats(n, 2), base: floats(m * n, 3) };
    await check(format, [n, k], types, inputs, (weight) => ({ x, bias, base }) => {
      const y = linear(x, weight.tensor, bias);
      const [dx] = grad(sum(square(y)), [x]);
      return {
        outputs: { y, added: add(base, linear(x, weight.tensor, bias)), ...(m > 8 && dx ? { dx } : {}) },
      };
    });
  });

  it('multiplies as it lies, more columns than are packed at once', async () => {
    const [m, n, k] = [10, 768, 6000];
    const types = { x: f32([m, k]) };
    await expectSame(format, [k, n], types, { x: floats(m * k, 1) }, (weight) => ({ x }) => ({
      outputs: { y: product(x, weight.tensor) },
    }));
  });

  it('gives rows', async () => {
    const types = { index: i32([7], 'tokens') };
    const index = Int32Array.from([3, 0, 12, 3, 9]);
    await check(format, [13, 3 * size], types, { index }, (weight) => ({ index: at }) => ({
      outputs: { y: gatherRows(weight.tensor, at), all: unpacked(weight.tensor) },
    }));
  });

  it('is an output head', async () => {
    const [n, c, v] = [37, 2 * size, 1101];
    const types = {
      hidden: f32([n + 2, c], 'heads'),
      labels: i32([n + 2], 'heads'),
      by: f32([n + 2], 'heads'),
    };
    const next = random(5);
    const inputs = {
      hidden: floats(n * c, 1),
      labels: Int32Array.from({ length: n }, () => Math.floor(next() * v)),
      by: floats(n, 2),
    };
    await check(format, [v, c], types, inputs, (weight) => ({ hidden, labels, by }) => {
      const { logps, statistics } = tokenLogProbsWithStatistics(hidden, weight.tensor, labels);
      const [dHidden] = grad(mean(mul(by, tokenLogProbs(hidden, weight.tensor, labels))), [hidden]);
      return { outputs: { logps, statistics, ...(dHidden ? { dHidden } : {}) } };
    });
  });

  it('is read back as numbers, and takes its blocks alone', async () => {
    const shape = [3, size] as const;
    const bytes = randomBlocks(format, 3 * size, 1);
    const weight = new Variable('weight', stored(shape, format));
    for (const device of [reference, ...devices]) {
      device.write(weight, bytes);
      expect(Float32Array.from(await device.read(weight))).toEqual(unpackBlocks(format, bytes));
      expect(() => device.write(weight, new Float32Array(3 * size))).toThrow(
        `weight is [3, ${size}] of ${format}, got ${3 * size} numbers`,
      );
      expect(() => device.write(weight, bytes.subarray(1))).toThrow(/got \d+ bytes/);
      device.free(weight);
    }
  });

  it('does not go where it is not unpacked', () => {
    const weight = new Variable('weight', stored([2, size], format));
    expect(() => square(weight.tensor)).toThrow(
      `square: takes no input in blocks, got [2, ${size}] of ${format}`,
    );
    expect(() => stored([2, size + 1], format)).toThrow(
      `${format} packs ${size} numbers, got rows of ${size + 1}`,
    );
  });
});

it('float16 scales of every kind are unpacked as ggml does', async () => {
  const scales = [0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0xfbff, 0x7c00, 0xfc00, 0x7e00];
  const bytes = new Uint8Array(34 * scales.length).fill(3);
  scales.forEach((bits, i) => bytes.set([bits & 255, bits >> 8], 34 * i));
  const weight = new Variable('weight', stored([scales.length, 32], 'Q8_0'));
  for (const device of devices) {
    device.write(weight, bytes);
    const executable = await device.load(
      compile('u', {}, () => ({ outputs: { y: unpacked(weight.tensor) } })),
    );
    expect((await executable.run({}))['y']).toEqual(unpackBlocks('Q8_0', bytes));
    executable.dispose();
  }
});
