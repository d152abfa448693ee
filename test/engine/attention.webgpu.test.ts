import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, InputNumbers, Numbers } from '../../engine/backend.ts';
import { compile } from '../../engine/compile.ts';
import { applyAll } from '../../engine/graph.ts';
import type { AttentionAttrs } from '../../engine/ops/attention.ts';
import { attention, attentionGradOp, attentionOp, SEGMENT_WIDTH } from '../../engine/ops/attention.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { f32, i32 } from '../../engine/shape.ts';
import type { WebGpuDevice } from '../../engine/webgpu/device.ts';
import { poison, random, relativeError } from './samples.ts';
import { noWebGpu, openWebGpu } from './webgpu.ts';

/** Segments of sequences that lie one after another; each is [prompt, branch, branch …] in tokens. */
function tableOf(sequences: readonly (readonly number[])[]): number[] {
  const table: number[] = [];
  let at = 0;
  for (const [prompt = 0, ...branches] of sequences) {
    const start = at;
    table.push(at, prompt, at, prompt, 0, 0);
    at += prompt;
    for (const length of branches) {
      table.push(at, length, at, length, start, prompt);
      at += length;
    }
  }
  return table;
}

/** Attention of rows that are queries and keys, and its gradients given that of `out`. */
const training = (attrs: AttentionAttrs, tokens: number, segments: number) => {
  const queries = f32([tokens, attrs.heads * attrs.headDim], 'tokens');
  const keys = f32([tokens, attrs.kvHeads * attrs.headDim], 'tokens');
  const table = i32([segments, SEGMENT_WIDTH], 'segments');
  return compile('attention', { q: queries, k: keys, v: keys, segments: table, dOut: queries }, (x) => {
    const [out, lse] = applyAll(attentionOp, [x.q, x.k, x.v, x.segments], attrs);
    const inputs = [x.q, x.k, x.v, x.segments, out, lse, x.dOut];
    const [dq, dk, dv] = applyAll(attentionGradOp, inputs, attrs);
    return { outputs: { out, lse, dq, dk, dv } };
  });
};

const draw = (n: number, next: () => number) => Float32Array.from({ length: n }, () => (next() - 0.5) * 4);
function drawBatch({ heads, kvHeads, headDim }: AttentionAttrs, tokens: number, table: readonly number[]) {
  const next = random(tokens + headDim);
  const [wide, narrow] = [tokens * heads * headDim, tokens * kvHeads * headDim];
  return {
    ...{ q: draw(wide, next), k: draw(narrow, next), v: draw(narrow, next), dOut: draw(wide, next) },
    segments: Int32Array.from(table),
  };
}

type Program = Parameters<Device['load']>[0];
async function run(
  device: Device,
  program: Program,
  inputs: Record<string, InputNumbers>,
): Promise<Record<string, Numbers>> {
  const executable = await device.load(program);
  const outputs = await executable.run(inputs);
  executable.dispose();
  return outputs;
}

const rowsOf = (x: Numbers | undefined, width: number, start: number, n: number) =>
  Float32Array.from(x?.subarray(start * width, (start + n) * width) ?? []);
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));

const TOLERANCE = 4e-6;

describe.skipIf(noWebGpu !== '')(`attention on WebGPU ${noWebGpu}`, () => {
  const reference = new ReferenceDevice();
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await openWebGpu();
  });
  afterAll(() => device.dispose());

  /** The largest relative error of out, lse and the gradients, which are the same when run again. */
  async function worstError(attrs: AttentionAttrs, tokens: number, segments: number, table: number[]) {
    const rows = Math.max(0, ...table.map((start, i) => (i % 6 === 0 ? start + (table[i + 1] ?? 0) : 0)));
    const program = training(attrs, tokens, segments);
    const batch = drawBatch(attrs, rows, table);
    const want = await run(reference, program, batch);
    await poison(device);
    const got = await run(device, program, batch);
    expect(await run(device, program, batch), 'run again').toEqual(got);
    return Math.max(...Object.entries(want).map(([name, x]) => relativeError(got[name] ?? [], x)));
  }

  // Head sizes below, at and between what a tile's width divides, in each arrangement of threads.
  const sequences = [[40, 3, 26], [1], [67]];
  const sizes: AttentionAttrs[] = [
    { heads: 2, kvHeads: 1, headDim: 1 },
    { heads: 3, kvHeads: 3, headDim: 33 },
    { heads: 1, kvHeads: 1, headDim: 96 },
    { heads: 2, kvHeads: 1, headDim: 250 },
  ];
  it.each(sizes)('heads of $headDim numbers, $heads on $kvHeads', async (attrs) => {
    expect(await worstError(attrs, 160, 9, tableOf(sequences))).toBeLessThan(TOLERANCE);
  });

  const small: AttentionAttrs = { heads: 1, kvHeads: 1, headDim: 4 };
  it('so many heads that blocks of keys are large', async () => {
    const attrs = { heads: 32, kvHeads: 32, headDim: 4 };
    expect(await worstError(attrs, 512, 2, tableOf([[70, 9]]))).toBeLessThan(TOLERANCE);
  });

  it('more segments than threads, in any order, some of them empty', async () => {
    const table = tableOf(Array.from({ length: 70 }, (_, i) => [i % 11, (i * 7) % 5]));
    const next = random(3);
    const order = Array.from({ length: 140 }, (_, i) => [next(), i] as const).sort(([a], [b]) => a - b);
    const shuffled = order.flatMap(([, i]) => table.slice(6 * i, 6 * i + 6));
    expect(await worstError(small, 600, 141, shuffled)).toBeLessThan(TOLERANCE);
  });

  it('branches that are stored before their prompt', async () => {
    const table = [0, 40, 0, 40, 60, 90, 40, 20, 40, 20, 60, 90, 60, 90, 60, 90, 0, 0];
    expect(await worstError(small, 200, 3, table)).toBeLessThan(TOLERANCE);
  });

  it('no rows, and no segments', async () => {
    expect(await worstError(small, 40, 2, [])).toBe(0);
  });

  it('one row, which sees itself', async () => {
    const inputs = drawBatch(small, 1, tableOf([[1]]));
    const { v, dOut } = inputs;
    const { out, dq, dk, dv } = await run(device, training(small, 40, 2), inputs);
    const close = (got: Numbers | undefined, want: readonly number[]) =>
      want.forEach((x, i) => expect(got?.[i]).toBeCloseTo(x, 5));
    close(out, [...v]);
    close(dv, [...dOut]);
    close(dq, [0, 0, 0, 0]);
    close(dk, [0, 0, 0, 0]);
  });

  it('keys that nobody reads have no gradient', async () => {
    const inputs = drawBatch(small, 10, [0, 4, 0, 4, 0, 0, 7, 3, 7, 3, 0, 0]);
    inputs.k.fill(NaN, 4 * 4, 7 * 4);
    inputs.v.fill(NaN, 4 * 4, 7 * 4);
    const { dk, dv } = await run(device, training(small, 30, 2), inputs);
    const zeros = new Float32Array(3 * 4);
    expect(rowsOf(dk, 4, 4, 3)).toEqual(zeros);
    expect(rowsOf(dv, 4, 4, 3)).toEqual(zeros);
    expect([...rowsOf(dk, 4, 7, 3)].every((g) => Number.isFinite(g))).toBe(true);
  });

  it('a prompt that is stored once gives what two full sequences give', async () => {
    const attrs: AttentionAttrs = { heads: 4, kvHeads: 2, headDim: 16 };
    const [prompt, chosen, rejected] = [45, 21, 40];
    const [wide, narrow, rest] = [64, 32, prompt + chosen];
    const once = drawBatch(attrs, rest + rejected, tableOf([[prompt, chosen, rejected]]));
    const twice = (x: Float32Array, width: number) =>
      joined(rowsOf(x, width, 0, rest), rowsOf(x, width, 0, prompt), rowsOf(x, width, rest, rejected));
    // The prompt's own share of the loss counts once.
    const dOut = twice(once.dOut, wide).fill(0, rest * wide, (rest + prompt) * wide);
    const full = {
      ...{ q: twice(once.q, wide), k: twice(once.k, narrow), v: twice(once.v, narrow), dOut },
      segments: Int32Array.from(tableOf([[rest], [prompt + rejected]])),
    };
    const program = training(attrs, 2 * prompt + chosen + rejected, 3);
    const [got, apart] = [await run(device, program, once), await run(device, program, full)];
    for (const [name, width] of Object.entries({ out: wide, dq: wide, dk: narrow, dv: narrow })) {
      const x = apart[name];
      const first = rowsOf(x, width, 0, prompt);
      const second = rowsOf(x, width, rest, prompt);
      const shared = name === 'out' ? first : first.map((g, i) => g + (second[i] ?? NaN));
      const want = joined(
        shared,
        rowsOf(x, width, prompt, chosen),
        rowsOf(x, width, rest + prompt, rejected),
      );
      expect(relativeError(got[name] ?? [], want), name).toBeLessThan(4e-6);
    }
  });

  it.each([
    ['one query', 20, 1],
    ['two queries', 1, 2],
    ['few queries of wide heads', 250, 3],
    ['a block of queries', 20, 9],
  ])('on a cache of keys: %s', async (_, headDim, queries) => {
    const attrs: AttentionAttrs = { heads: 4, kvHeads: 2, headDim };
    const [prefix, length, capacity] = [60, 310, 400];
    const [wide, narrow, total] = [4 * headDim, 2 * headDim, prefix + length];
    const batch = drawBatch(attrs, total, tableOf([[prefix, length]]));
    const types = {
      q: f32([9, wide], 'tokens'),
      k: f32([capacity, narrow]),
      v: f32([capacity, narrow]),
      segments: i32([queries > 3 ? 1 : 3, SEGMENT_WIDTH], 'segments'),
    };
    const cached = compile('cached', types, (x) => ({
      outputs: { out: attention(x.q, x.k, x.v, x.segments, attrs) },
    }));
    // Rows of the cache that no segment names hold anything.
    const cache = (x: Float32Array) => joined(x, new Float32Array((capacity - total) * narrow).fill(NaN));
    const given = {
      q: rowsOf(batch.q, wide, total - queries, queries),
      ...{ k: cache(batch.k), v: cache(batch.v), segments: [0, queries, prefix, length, 0, prefix] },
    };
    const { out = [] } = await run(device, cached, given);
    const { out: want = new Float32Array() } = await run(reference, cached, given);
    expect(relativeError(out as Float32Array, want)).toBeLessThan(3e-6);
  });

  it('says which heads are too wide', async () => {
    const program = training({ heads: 1, kvHeads: 1, headDim: 257 }, 4, 1);
    await expect(device.load(program)).rejects.toThrow('heads of 257 numbers');
  });
});
