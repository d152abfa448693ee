import { describe, expect, it } from 'vitest';
import { bfloat16ToFloat32, toBfloat16 } from '../../../engine/bfloat16.ts';
import { PrefgradError } from '../../../engine/errors.ts';
import { float16ToFloat32, float16Value, toFloat16 } from '../../../models/files/halfFloats.ts';
import { openSafetensors } from '../../../models/files/safetensors.ts';
import { writeSafetensors, type SafetensorsEntry } from '../../../models/files/safetensorsWriter.ts';
import { memorySink, memorySource } from '../../../models/files/source.ts';
import { openFileSource } from '../../../models/files/source.node.ts';
import { needsShared, shared } from '../../shared.ts';

/** A file with this header (an object, or its text) and so many bytes of data. */
function file(header: unknown, dataBytes = 0, claimed?: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimed ?? json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const open = (bytes: Uint8Array) => openSafetensors(memorySource('model.safetensors', bytes));

describe('16-bit floats', () => {
  it('round-trip every pattern', () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const fromFloat16 = float16ToFloat32(patterns);
    const fromBfloat16 = bfloat16ToFloat32(patterns);
    const changed = patterns.filter(
      (bits) =>
        (!Number.isNaN(fromFloat16[bits]) && toFloat16(fromFloat16[bits]) !== bits) ||
        (!Number.isNaN(fromBfloat16[bits]) && toBfloat16(fromBfloat16[bits]) !== bits),
    );
    expect([...changed]).toEqual([]);
    expect(fromFloat16.filter(Number.isNaN).length).toBe(2 * 1023);
    expect(float16Value(toFloat16(NaN))).toBeNaN();
    expect(bfloat16ToFloat32(Uint16Array.of(toBfloat16(NaN)))[0]).toBeNaN();
  });

  it('narrow to the nearest, ties to even', () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [float16Value(bits), float16Value(bits + 1)];
      const middle = (low + high) / 2; // a float32 holds it exactly
      const gap = high - low;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const right =
        toFloat16(middle) === even &&
        toFloat16(-middle) === (0x8000 | even) &&
        toFloat16(middle - gap / 64) === bits &&
        toFloat16(middle + gap / 64) === bits + 1;
      if (!right) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
    expect([65504, 65519.99, 65520, 1e9, Infinity].map(toFloat16)).toEqual([
      0x7bff, 0x7bff, 0x7c00, 0x7c00, 0x7c00,
    ]);
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20].map(toBfloat16)).toEqual([
      0x3f80, 0x3f82, 0x3f81,
    ]);
  });
});

describe('safetensors', () => {
  it('reads back what it writes, aligned, in each dtype', async () => {
    const values = Float32Array.of(0, 1, -2.5, 1 / 3, 65504);
    const entry = (
      name: string,
      dtype: SafetensorsEntry['dtype'],
      shape: number[],
      count: number,
    ): SafetensorsEntry => ({
      name,
      dtype,
      shape,
      data: async () => values.slice(0, count),
    });
    const sink = memorySink();
    await writeSafetensors(sink, [
      entry('half', 'F16', [5], 5),
      entry('brain', 'BF16', [1, 3], 3),
      entry('full', 'F32', [5, 1], 5),
      entry('scalar', 'F32', [], 1),
      entry('empty', 'F32', [0, 4], 0),
    ]);
    const bytes = sink.bytes();
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
    const read = await open(bytes);
    expect(read.metadata).toEqual({ format: 'pt' });
    expect(read.tensorNames()).toEqual(['full', 'scalar', 'empty', 'half', 'brain']);
    expect(await read.read('full')).toEqual(values);
    expect(read.shape('scalar')).toEqual([]);
    expect((await read.read('empty')).length).toBe(0);
    expect([...(await read.read('half'))]).toEqual([0, 1, -2.5, 0.333251953125, 65504]);
    expect([...(await read.read('brain'))]).toEqual([0, 1, -2.5]);
    expect(read.dtype('brain')).toBe('BF16');
    await expect(read.read('ful')).rejects.toThrow(/has no tensor ful/);
  });

  it('converts long tensors chunk by chunk', async () => {
    const count = 2 ** 20 + 5;
    const sink = memorySink();
    const data = async () => Float32Array.from({ length: count }, (_, i) => (i % 2048) - 1024);
    await writeSafetensors(sink, [{ name: 'long', dtype: 'F16', shape: [count], data }]);
    const [written, read] = [await data(), await (await open(sink.bytes())).read('long')];
    expect(read.length).toBe(count);
    expect(read.findIndex((value, i) => value !== written[i])).toBe(-1);
  });

  it('refuses to write what would be wrong', async () => {
    const write = (...entries: SafetensorsEntry[]) => writeSafetensors(memorySink(), entries);
    const entry = { name: 'w', dtype: 'F16', shape: [2], data: async () => Float32Array.of(1, 7e4) } as const;
    await expect(write(entry)).rejects.toThrow(/tensor w holds 70000, more than the 65504/);
    await expect(write({ ...entry, shape: [3] })).rejects.toThrow(/has 3 elements, got 2/);
    await expect(write(entry, entry)).rejects.toThrow(/written twice/);
  });

  const integers = { dtype: 'I64', shape: [2], data_offsets: [0, 16] };
  it('keeps F64 and 64-bit integers exact', async () => {
    const bytes = file({ i: integers, d: { dtype: 'F64', shape: [1], data_offsets: [16, 24] } }, 24);
    const view = new DataView(bytes.buffer, bytes.length - 24);
    view.setBigInt64(0, -5n, true);
    view.setBigInt64(8, 2n ** 53n - 1n, true);
    view.setFloat64(16, 1 / 3, true);
    const read = await open(bytes);
    expect([...(await read.readFloat64('i'))]).toEqual([-5, 2 ** 53 - 1]);
    expect([...(await read.readFloat64('d'))]).toEqual([1 / 3]);
    expect([...(await read.read('d'))]).toEqual([Math.fround(1 / 3)]);
    view.setBigInt64(8, 2n ** 60n, true);
    await expect((await open(bytes)).readFloat64('i')).rejects.toThrow(/beyond the 2\^53/);
  });

  const four = (begin: number, end = begin + 4) => ({ dtype: 'F32', shape: [1], data_offsets: [begin, end] });
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /truncated or damaged: bytes 0 to 8/],
    ['a header longer than the file', file({}, 0, 1000), /bytes 8 to 1008 are needed/],
    ['a header length beyond the limit', file({}, 0, 2 ** 52), /claims 4503599627370496 bytes/],
    ['a header that is not JSON', file('{"a":'), /not valid JSON/],
    ['a header that is not UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), /expected UTF-8/],
    ['a header that is an array', file('[1]'), /does not start with \{/],
    [
      'a duplicate tensor',
      file(`{"a":${JSON.stringify(four(0))},"\\u0061":${JSON.stringify(four(4))}}`, 8),
      /"a" twice/,
    ],
    [
      'a duplicate key inside',
      file('{"a":{"dtype":"F32","dtype" :"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      /"dtype" twice/,
    ],
    ['metadata that is not strings', file({ __metadata__: { a: 1 } }), /__metadata__\.a is a number/],
    ['an unknown dtype', file({ a: { ...four(0), dtype: 'F33' } }, 4), /dtype "F33"/],
    [
      'a dtype that is a property of every object',
      file({ a: { ...four(0), dtype: 'toString' } }, 4),
      /dtype "toString"/,
    ],
    ['a negative size', file({ a: { ...four(0), shape: [-1, -1] } }, 4), /shape \[-1,-1\]/],
    ['a fractional size', file({ a: { ...four(0), shape: [0.5, 2] } }, 4), /shape \[0\.5,2\]/],
    [
      'a shape that does not fill its bytes',
      file({ a: { ...four(0), shape: [2] } }, 4),
      /takes 8 bytes, but data_offsets hold 4/,
    ],
    ['offsets turned round', file({ a: four(4, 0) }, 4), /data_offsets \[4,0\]/],
    ['offsets beyond the file', file({ a: four(0) }, 3), /truncated or damaged/],
    ['tensors that overlap', file({ a: four(0), b: { ...four(2, 6) } }, 6), /tensors a and b overlap/],
    ['a gap', file({ a: four(0), b: four(8) }, 12), /4 bytes between a and b/],
    ['bytes at the end', file({ a: four(0) }, 5), /1 bytes after a/],
    ['a tensor that is null', file({ a: null }), /tensor a is null/],
  ];
  it.each(cases)('refuses %s', async (_, bytes, message) => {
    const failure: unknown = await open(bytes).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PrefgradError);
    expect(String(failure)).toMatch(message);
    expect(String(failure)).toMatch(/model\.safetensors/);
  });

  const golden = shared('fixtures/models/gpt2/golden.safetensors');
  it.skipIf(golden === undefined)(`reads a file that PyTorch wrote ${needsShared}`, async () => {
    const read = await openSafetensors(await openFileSource(golden ?? ''));
    expect(read.shape('input_ids')).toEqual([3, 37]);
    const ids = await read.readFloat64('input_ids');
    expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 512)).toBe(true);
    const logits = await read.readFloat64('logits');
    const [B, T, V] = read.shape('logits');
    // The stored log-probs are those of the stored logits: row, column and value order are right.
    const logps = await read.readFloat64('token_logps');
    let worst = 0;
    for (let b = 0; b < B; b++) {
      for (let t = 0; t + 1 < T; t++) {
        const row = logits.subarray((b * T + t) * V, (b * T + t + 1) * V);
        const most = Math.max(...row);
        const logSum = most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
        worst = Math.max(worst, Math.abs(row[ids[b * T + t + 1]] - logSum - logps[b * (T - 1) + t]));
      }
    }
    expect(worst).toBeLessThan(1e-12);
    await read.close();
  });
});
