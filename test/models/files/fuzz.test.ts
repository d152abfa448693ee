import { readFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PrefgradError } from '../../../engine/errors.ts';
import { float16Value } from '../../../models/files/halfFloats.ts';
import { openGguf } from '../../../models/files/gguf.ts';
import { openGgufModel } from '../../../models/files/ggufModel.ts';
import { openSafetensors, readSafetensorsHeader } from '../../../models/files/safetensors.ts';
import { writeSafetensors, type SafetensorsEntry } from '../../../models/files/safetensorsWriter.ts';
import { memorySink, memorySource } from '../../../models/files/source.ts';

/** Whole numbers below a bound, the same ones every run (mulberry32). */
function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = (below: number) => number;

const hugeNumbers = [
  0xffffffffffffffffn,
  0x7fffffffffffffffn,
  2n ** 53n,
  2n ** 40n,
  2n ** 31n,
  100_000n,
  1000n,
  0n,
];

/** One to three wounds in the first `header` bytes: flipped bits, overwritten lengths, lost or doubled bytes. */
function wound(whole: Uint8Array, header: number, random: Random): Uint8Array {
  let bytes = whole.slice();
  for (let wounds = 1 + random(3); wounds > 0; wounds--) {
    const at = random(Math.min(header, bytes.length));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    switch (random(8)) {
      case 0:
        bytes = bytes.slice(0, random(bytes.length));
        break;
      case 1:
        if (at + 8 <= bytes.length) view.setBigUint64(at, hugeNumbers[random(hugeNumbers.length)], true);
        break;
      case 2:
        if (at + 4 <= bytes.length) view.setUint32(at, random(14), true); // other types and small counts
        break;
      case 3: {
        const length = 1 + random(24);
        bytes = join([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      }
      case 4: {
        const length = 1 + random(24);
        bytes = join([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      }
      case 5:
        bytes[at] = random(256);
        break;
      default:
        bytes[at] ^= 1 << random(8);
    }
    if (bytes.length === 0) break;
  }
  return bytes;
}

const join = (parts: Uint8Array[]): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.concat(parts));

const values: readonly string[] = [
  'null',
  'true',
  '-1',
  '1.5',
  '1e400',
  '9007199254740993',
  '1e15',
  '""',
  '"F64"',
  '"F8_E4M3"',
  '"__proto__"',
  '[]',
  '[4]',
  '[4,0]',
  '{}',
  '[[[[]]]]',
  '{"dtype":"F32","shape":[],"data_offsets":[0,4]}',
];

/** The header's JSON with one value, key or mark changed, and its length right. */
function rewriteJson(whole: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(whole.buffer).getBigUint64(0, true));
  const parts = new TextDecoder().decode(whole.subarray(8, 8 + length)).split(/("[^"]*"|-?\d+|[{}[\],:])/);
  for (let changes = 1 + random(2); changes > 0; changes--) {
    const at = random(parts.length);
    const kind = random(4);
    if (kind === 0) parts[at] = parts[random(parts.length)];
    else if (kind === 1) parts.splice(at, 1);
    else parts[at] = values[random(values.length)];
  }
  const json = new TextEncoder().encode(parts.join(''));
  const bytes = new Uint8Array(8 + json.length + whole.length - 8 - length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(whole.subarray(8 + length), 8 + json.length);
  return bytes;
}

/** The largest typed array, in bytes, that was made by its length since this was set to 0. */
let largest = 0;

beforeEach(() => {
  float16Value(0); // makes the table of all float16 values, which is no file's
  for (const made of [Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array]) {
    const counted = new Proxy(made, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') largest = Math.max(largest, args[0] * made.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    vi.stubGlobal(made.name, counted);
  }
});
afterEach(() => {
  vi.unstubAllGlobals();
});

interface Outcomes {
  opened: number;
  refused: number;
}

/** Runs `open` on every file: it must succeed or throw a PrefgradError, soon, and allocate no more than `times` the file. */
async function survive(
  files: Iterable<Uint8Array>,
  open: (file: Uint8Array) => Promise<void>,
  times = 1,
): Promise<Outcomes> {
  const outcomes = { opened: 0, refused: 0 };
  let slowest = 0;
  for (const file of files) {
    largest = 0;
    const start = performance.now();
    try {
      await open(file);
      outcomes.opened++;
    } catch (error) {
      if (!(error instanceof PrefgradError)) throw error;
      outcomes.refused++;
    }
    if (largest > Math.max(8, times * file.length))
      throw new Error(`${largest} bytes for a file of ${file.length}`);
    slowest = Math.max(slowest, performance.now() - start);
  }
  expect(slowest).toBeLessThan(2000);
  return outcomes;
}

function* repeat(count: number, make: (random: Random) => Uint8Array, seed: number): Iterable<Uint8Array> {
  const random = randomIntegers(seed);
  for (let i = 0; i < count; i++) yield make(random);
}

describe('a damaged safetensors file', () => {
  const entry = (name: string, dtype: SafetensorsEntry['dtype'], shape: number[]): SafetensorsEntry => ({
    name,
    dtype,
    shape,
    data: async () => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
  });
  const make = async () => {
    const sink = memorySink();
    await writeSafetensors(sink, [
      entry('a.weight', 'F32', [3, 5]),
      entry('b', 'BF16', [4]),
      entry('c', 'F16', [2, 1, 2]),
    ]);
    return sink.bytes();
  };
  const openHeader = async (file: Uint8Array) => {
    await readSafetensorsHeader(memorySource('m.safetensors', file));
  };
  const openAll = async (file: Uint8Array) => {
    const model = await openSafetensors(memorySource('m.safetensors', file));
    for (const tensor of model.tensorNames()) await model.read(tensor);
  };

  it('is refused in words or read, whatever bytes are wrong', async () => {
    const whole = await make();
    const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
    const outcomes = await survive(
      repeat(4000, (random) => wound(whole, header, random), 1),
      openHeader,
    );
    expect(outcomes.refused).toBeGreaterThan(2000);
    expect(outcomes.opened).toBeGreaterThan(5);
  });

  it('is refused in words or read, whatever its JSON says', async () => {
    const whole = await make();
    const outcomes = await survive(
      repeat(4000, (random) => rewriteJson(whole, random), 2),
      openHeader,
    );
    expect(outcomes.refused).toBeGreaterThan(2000);
    expect(outcomes.opened).toBeGreaterThan(20);
    // Reading widens 1-byte tensors to 8-byte values.
    await survive(
      repeat(2000, (random) => rewriteJson(whole, random), 3),
      openAll,
      8,
    );
  });

  it('is refused wherever it is cut', async () => {
    const whole = await make();
    const cuts = Array.from({ length: whole.length }, (_, length) => whole.slice(0, length));
    expect(await survive(cuts, openHeader)).toEqual({ opened: 0, refused: whole.length });
  });
});

describe('a damaged gguf file', () => {
  const read = (file: string) =>
    new Uint8Array(readFileSync(joinPath(import.meta.dirname, '../../fixtures/gguf', file)));
  const openHeader = async (file: Uint8Array) => {
    await openGguf(memorySource('m.gguf', file));
  };
  const openAll = async (file: Uint8Array) => {
    const model = await openGgufModel(memorySource('m.gguf', file));
    for (const tensor of model.tensorNames()) await model.read(tensor);
    model.tokenizer?.decode(model.tokenizer.encode('ab <|x|> ß'));
  };

  it('is refused in words or read, whatever bytes are wrong', async () => {
    for (const [file, header] of [
      ['types.gguf', 1250],
      ['llama.gguf', 1500],
      ['gpt2.gguf', 1200],
    ] as const) {
      const whole = read(file);
      const outcomes = await survive(
        repeat(2000, (random) => wound(whole, header, random), 4),
        openHeader,
      );
      expect(outcomes.refused).toBeGreaterThan(1000);
      expect(outcomes.opened).toBeGreaterThan(20);
    }
  });

  it('is refused in words or gives a model', async () => {
    for (const [file, header] of [
      ['llama.gguf', 1500],
      ['qwen2.gguf', 1200],
      ['gpt2.gguf', 1200],
    ] as const) {
      const whole = read(file);
      // Blocks of four and five bits widen to 32.
      const outcomes = await survive(
        repeat(1500, (random) => wound(whole, header, random), 5),
        openAll,
        8,
      );
      expect(outcomes.refused).toBeGreaterThan(700);
      expect(outcomes.opened).toBeGreaterThan(5);
    }
  });

  it('is refused wherever it is cut', async () => {
    const whole = read('llama.gguf');
    const end = whole.length - 32; // the last tensor is followed by padding
    const cuts = Array.from({ length: 1000 }, (_, i) => whole.slice(0, Math.floor((i * end) / 1000)));
    expect(await survive(cuts, openHeader)).toEqual({ opened: 0, refused: cuts.length });
  });
});
