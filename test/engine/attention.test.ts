import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/backend.ts';
import { compile } from '../../engine/compile.ts';
import { grad } from '../../engine/grad.ts';
import type { AttentionAttrs } from '../../engine/ops/attention.ts';
import { attention, SEGMENT_WIDTH } from '../../engine/ops/attention.ts';
import { mul } from '../../engine/ops/elementwise.ts';
import { sum } from '../../engine/ops/reduce.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { f32, i32 } from '../../engine/shape.ts';
import type { WasmDevice } from '../../engine/wasm/device.ts';
import { random, relativeError } from './samples.ts';
import { onEach, openVariants } from './wasmVariants.ts';

/** A sequence that other branches may continue: [prompt] alone, or [prompt, branch, branch …], in tokens. */
type Lengths = readonly (readonly number[])[];

/** The segment table of sequences that lie one after another. */
function tableOf(groups: Lengths): number[] {
  const table: number[] = [];
  let at = 0;
  for (const [prompt = 0, ...branches] of groups) {
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

/** Prompts with none to three branches, `tokens` tokens in all. */
function randomGroups(tokens: number, next: () => number): number[][] {
  const groups: number[][] = [];
  for (let left = tokens, open = 0; left > 0; open--) {
    const length = Math.min(left, 1 + Math.floor(next() ** 2 * 130));
    left -= length;
    const group = groups.at(-1);
    if (group && open > 0) group.push(length);
    else {
      groups.push([length]);
      open = 1 + Math.floor(next() * 4);
    }
  }
  return groups;
}

/** out, and the gradients of Σ weight · out with respect to q, k and v. */
const training = (attrs: AttentionAttrs, tokens: number, segments: number) => {
  const queries = f32([tokens, attrs.heads * attrs.headDim], 'tokens');
  const keys = f32([tokens, attrs.kvHeads * attrs.headDim], 'tokens');
  const table = i32([segments, SEGMENT_WIDTH], 'segments');
  return compile('attention', { q: queries, k: keys, v: keys, segments: table, weight: queries }, (x) => {
    const out = attention(x.q, x.k, x.v, x.segments, attrs);
    const [dq, dk, dv] = grad(sum(mul(out, x.weight)), [x.q, x.k, x.v]);
    if (!dq || !dk || !dv) throw new Error('three gradients were asked for');
    return { outputs: { out, dq, dk, dv } };
  });
};
type Batch = Record<'q' | 'k' | 'v' | 'weight', Float32Array> & { readonly segments: Int32Array };

const draw = (n: number, next: () => number) => Float32Array.from({ length: n }, () => (next() - 0.5) * 4);
function drawBatch({ heads, kvHeads, headDim }: AttentionAttrs, groups: Lengths, next: () => number): Batch {
  const tokens = groups.flat().reduce((a, b) => a + b, 0);
  return {
    q: draw(tokens * heads * headDim, next),
    k: draw(tokens * kvHeads * headDim, next),
    v: draw(tokens * kvHeads * headDim, next),
    weight: draw(tokens * heads * headDim, next),
    segments: Int32Array.from(tableOf(groups)),
  };
}

async function run(
  device: Device,
  program: ReturnType<typeof training>,
  batch: Batch,
): Promise<Record<string, Numbers>> {
  const executable = await device.load(program);
  const outputs = await executable.run(batch);
  executable.dispose();
  return outputs;
}

/** Rows [start, start + n) of a matrix. */
const rowsAt = (x: Numbers | undefined, width: number, start: number, n: number) =>
  Float32Array.from(x?.subarray(start * width, (start + n) * width) ?? []);
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
const added = (a: Float32Array, b: Float32Array) => a.map((x, i) => x + (b[i] ?? NaN));

const reference = new ReferenceDevice();
let devices: readonly WasmDevice[];
beforeAll(async () => {
  devices = await openVariants();
});
afterAll(() => Promise.all(devices.map((device) => device.dispose())));

/** The largest relative error of any device against the reference, and what onEach says of the devices. */
async function everywhere(program: ReturnType<typeof training>, batch: Batch) {
  const want = await run(reference, program, batch);
  const results = await onEach(devices, (device) => run(device, program, batch));
  const errors = results.flatMap(({ got }) =>
    Object.entries(want).map(([name, numbers]) => relativeError(got[name] ?? [], numbers)),
  );
  return { worst: Math.max(...errors), results };
}

describe('attention over random segment tables', () => {
  const sizes: AttentionAttrs[] = [
    { heads: 6, kvHeads: 2, headDim: 64 },
    { heads: 3, kvHeads: 3, headDim: 12 },
    { heads: 2, kvHeads: 1, headDim: 1 },
    { heads: 4, kvHeads: 1, headDim: 33 },
  ];
  sizes.forEach((attrs, seed) => {
    it(`heads ${attrs.heads}, kvHeads ${attrs.kvHeads}, headDim ${attrs.headDim}`, async () => {
      const next = random(seed + 1);
      // One program, whose capacities no batch fills.
      const program = training(attrs, 240, 60);
      for (const tokens of [30 + Math.floor(next() * 60), 130 + Math.floor(next() * 100)]) {
        const batch = drawBatch(attrs, randomGroups(tokens, next), next);
        const { worst, results } = await everywhere(program, batch);
        expect(worst).toBeLessThan(4e-6);
        for (const { name, got, first } of results)
          expect(got, `threads and tiles change no bit, ${name}`).toEqual(first);
      }
    });
  });

  it('more blocks of keys than parts of dq, branches stored before their prompt', async () => {
    const attrs: AttentionAttrs = { heads: 6, kvHeads: 6, headDim: 4 };
    const batch = drawBatch(attrs, [[100], [30], [350]], random(9));
    const [prompt, length] = [130, 350];
    const segments = Int32Array.from([
      ...[0, 100, 0, 100, prompt, length],
      ...[100, 30, 100, 30, prompt, length],
      ...[prompt, length, prompt, length, 0, 0],
    ]);
    const program = training(attrs, prompt + length, 3);
    const { worst, results } = await everywhere(program, { ...batch, segments });
    expect(worst).toBeLessThan(4e-6);
    for (const { name, got, first } of results)
      expect(got, `threads and tiles change no bit, ${name}`).toEqual(first);
  });
});

describe('a prompt that is stored once', () => {
  const attrs: AttentionAttrs = { heads: 6, kvHeads: 3, headDim: 32 };
  const [prompt, chosen, rejected] = [75, 41, 103];

  it('gives what two full sequences give, gradients summed', async () => {
    const shared = drawBatch(attrs, [[prompt, chosen, rejected]], random(5));
    const [wide, narrow] = [attrs.heads * attrs.headDim, attrs.kvHeads * attrs.headDim];
    const twice = (x: Float32Array, width: number) => {
      const part = (start: number, n: number) => rowsAt(x, width, start, n);
      const first = part(0, prompt);
      return joined(part(0, prompt + chosen), first, part(prompt + chosen, rejected));
    };
    // The prompt's own share of the loss counts once.
    const weight = twice(shared.weight, wide);
    weight.fill(0, (prompt + chosen) * wide, (2 * prompt + chosen) * wide);
    const full: Batch = {
      q: twice(shared.q, wide),
      k: twice(shared.k, narrow),
      v: twice(shared.v, narrow),
      weight,
      segments: Int32Array.from(tableOf([[prompt + chosen], [prompt + rejected]])),
    };
    for (const device of devices) {
      const program = training(attrs, 2 * prompt + chosen + rejected, 3);
      const once = await run(device, program, shared);
      const apart = await run(device, program, full);
      const rest = prompt + chosen;
      const out = rowsAt(apart['out'], wide, 0, rest);
      expect(relativeError(rowsAt(once['out'], wide, 0, rest), out)).toBeLessThan(2e-6);
      const second = rowsAt(apart['out'], wide, rest + prompt, rejected);
      expect(relativeError(rowsAt(once['out'], wide, rest, rejected), second)).toBeLessThan(2e-6);
      for (const [name, width] of [
        ['dq', wide],
        ['dk', narrow],
        ['dv', narrow],
      ] as const) {
        const x = apart[name];
        const copies = added(rowsAt(x, width, 0, prompt), rowsAt(x, width, rest, prompt));
        const branches = [rowsAt(x, width, prompt, chosen), rowsAt(x, width, rest + prompt, rejected)];
        expect(relativeError(once[name] ?? [], joined(copies, ...branches)), name).toBeLessThan(4e-6);
      }
    }
  });
});

describe('attention on a cache of keys', () => {
  it.each([1, 2, 9])('gives the last %i rows of the whole sequence', async (queries) => {
    const attrs: AttentionAttrs = { heads: 4, kvHeads: 2, headDim: 20 };
    const [prefix, length, capacity] = [60, 610, 700];
    const [wide, narrow] = [attrs.heads * attrs.headDim, attrs.kvHeads * attrs.headDim];
    const batch = drawBatch(attrs, [[prefix, length]], random(queries));
    const whole = await run(reference, training(attrs, prefix + length, 2), batch);
    const cached = compile(
      'cached',
      {
        q: f32([queries, wide]),
        k: f32([capacity, narrow]),
        v: f32([capacity, narrow]),
        segments: i32([1, SEGMENT_WIDTH]),
      },
      (x) => ({ outputs: { out: attention(x.q, x.k, x.v, x.segments, attrs) } }),
    );
    // Rows of the cache that no segment names hold anything.
    const cache = (x: Float32Array) =>
      joined(x, new Float32Array((capacity - prefix - length) * narrow).fill(NaN));
    for (const device of devices) {
      const executable = await device.load(cached);
      const { out } = await executable.run({
        q: rowsAt(batch.q, wide, prefix + length - queries, queries),
        k: cache(batch.k),
        v: cache(batch.v),
        segments: [0, queries, prefix, length, 0, prefix],
      });
      executable.dispose();
      const want = rowsAt(whole['out'], wide, prefix + length - queries, queries);
      expect(relativeError(out ?? [], want)).toBeLessThan(3e-6);
    }
  });
});
