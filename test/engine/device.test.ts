import { afterEach, describe, expect, it, vi } from 'vitest';
import { Variable, WasmDevice, affine, compile, f32, matmul, sum } from '../../engine/index.ts';
import tile from '../../engine/wasm/build/plain4.tile.wasm';
import { Allocator } from '../../engine/wasm/memory.ts';
import { fastestTile } from '../../engine/wasm/tileProbe.ts';

afterEach(() => vi.unstubAllGlobals());

const square = compile('square', { x: f32([8, 8]) }, ({ x }) => ({ outputs: { y: matmul(x, x) } }));
const eye = Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 2 : 0));

describe('the WebAssembly device', () => {
  it('runs on one thread where memory cannot be shared with workers', async () => {
    vi.stubGlobal('crossOriginIsolated', false);
    const device = await WasmDevice.create({ threads: 4 });
    expect(device.threads).toBe(1);
    const { y } = await (await device.load(square)).run({ x: eye });
    expect([...(y ?? [])]).toEqual([...eye].map((v) => v * v));
    await device.dispose();
  });

  it('takes the tile asked for, else one that its instruction set has', async () => {
    for (const simd of ['plain', 'relaxed'] as const) {
      const device = await WasmDevice.create({ threads: 1, simd });
      expect(simd === 'plain' ? [4, 8] : [6, 8]).toContain(device.tileRows);
      await device.dispose();
    }
    const tall = await WasmDevice.create({ threads: 1, simd: 'plain', tileRows: 8 });
    expect(tall.tileRows).toBe(8);
    await tall.dispose();
    await expect(WasmDevice.create({ simd: 'plain', tileRows: 6 })).rejects.toThrow(
      "tileRows must be 4 or 8 with plain SIMD, or 'auto'; got 6",
    );
  });

  it('takes the tile that computes more rows in a time', async () => {
    // The same code, said to compute a hundred times as many rows.
    const [few, many] = [
      { tile, tileRows: 4 },
      { tile, tileRows: 400 },
    ];
    expect(await fastestTile([few, many])).toBe(many);
    expect(await fastestTile([many, few])).toBe(many);
  });

  it('says which input does not fit, and which counts disagree', async () => {
    const device = await WasmDevice.create({ threads: 1 });
    const executable = await device.load(square);
    await expect(executable.run({ x: [1, 2] })).rejects.toThrow(
      'square: input x has 2 numbers, expected [8, 8]',
    );
    await expect(executable.run({})).rejects.toThrow('square: input x is missing');
    const rows = compile('rows', { a: f32([4, 2], 'tokens'), b: f32([4], 'tokens') }, ({ a, b }) => ({
      outputs: { a: sum(a), b: sum(b) },
    }));
    await expect((await device.load(rows)).run({ a: [1, 2, 3, 4], b: [1] })).rejects.toThrow(
      'rows: input b has 1 tokens, another input has 2',
    );
    await expect(
      (await device.load(rows)).run({ a: new Float32Array(10), b: new Float32Array(5) }),
    ).rejects.toThrow('expected [4 tokens, 2]');
    await device.dispose();
  });

  it('runs programs that were loaded before a larger one moved the arena', async () => {
    const device = await WasmDevice.create({ threads: 2 });
    const small = await device.load(square);
    await small.run({ x: eye });
    const large = await device.load(
      compile('large', { x: f32([512, 512]) }, ({ x }) => ({ outputs: { y: sum(matmul(affine(x, 1), x)) } })),
    );
    const ones = new Float32Array(512 * 512).fill(1);
    expect((await large.run({ x: ones })).y?.[0]).toBe(512 ** 3);
    const { y } = await small.run({ x: eye });
    expect([...(y ?? [])]).toEqual([...eye].map((v) => v * v));
    await device.dispose();
  });

  it('frees variables, and names what has no room beyond 4 GiB', async () => {
    const device = await WasmDevice.create({ threads: 1 });
    const before = device.memory.total;
    const variable = new Variable('weights', f32([1000, 1000]));
    device.write(variable, new Float32Array(1e6));
    expect(device.memory.variables).toBeGreaterThanOrEqual(4e6);
    device.free(variable);
    expect(device.memory.total).toBe(before);
    const huge = compile('huge', {}, () => {
      const v = new Variable('huge.weights', f32([40_000, 40_000]));
      return { updates: [{ variable: v, value: affine(v.tensor, 2) }] };
    });
    await expect(device.load(huge)).rejects.toThrow(/no room for 6104 MiB \(huge\.weights\)/);
    await device.dispose();
  });
});

describe('the allocator', () => {
  it('joins neighbours that are released in any order, and grows only when it must', () => {
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 64, shared: true });
    const allocator = new Allocator(memory);
    const spans = [1000, 2000, 3000, 4000].map((bytes) => allocator.allocate(bytes, 'x'));
    for (const s of spans) expect(s.address % 64).toBe(0);
    for (const i of [1, 3, 0, 2]) allocator.release(spans[i]);
    expect(allocator.used).toBe(0);
    const pages = memory.buffer.byteLength;
    const whole = allocator.allocate(pages - 8192, 'whole');
    expect(memory.buffer.byteLength).toBe(pages);
    allocator.release(whole);
    expect(() => allocator.allocate(65 * 65536, 'too much')).toThrow(/no room for \d+ MiB \(too much\)/);
    expect(allocator.allocate(1000, 'after the error').address).toBe(spans[0]?.address);
  });
});
