import { describe, expect, it } from 'vitest';
import {
  Variable,
  WasmDevice,
  add,
  attention,
  compile,
  f32,
  gelu,
  grad,
  i32,
  product,
  sum,
  tokenLogProbs,
} from '../../engine/index.ts';
import type { ProfiledRun } from '../../engine/wasm/profile.ts';
import { Profile, chromeTrace, stampsOf } from '../../engine/wasm/profile.ts';

describe.each([1, 2])('profile of %d threads', (threads) => {
  it('tells of each run when each thread was in which call', async () => {
    const runs: ProfiledRun[] = [];
    const profile = new Profile();
    const device = await WasmDevice.create({
      threads,
      profile: (run) => {
        profile.add(run);
        runs.push({ ...run, stamps: run.stamps.slice() });
      },
    });
    const w = new Variable('w', f32([64, 64]));
    const program = compile('small', { x: f32([40, 64]) }, ({ x }) => ({
      outputs: { y: gelu(product(x, w.tensor)) },
      updates: [{ variable: w, value: add(w.tensor, w.tensor) }],
    }));
    const executable = await device.load(program);
    for (let i = 0; i < 3; i++) await executable.run({ x: new Float32Array(40 * 64) });
    await device.dispose();

    expect(runs).toHaveLength(3);
    for (const { program: name, calls, stamps, asked, answered } of runs) {
      expect(name).toBe('small');
      expect(calls.map((c) => c.op)).toEqual(expect.arrayContaining(['matmul', 'gelu', 'add']));
      expect(stamps).toHaveLength(threads * stampsOf(calls.length));
      for (let t = 0; t < threads; t++) {
        // The last stamp of a thread other than the first may come after the answer.
        const own = [...stamps.subarray(t * stampsOf(calls.length), (t + 1) * stampsOf(calls.length) - 1)];
        expect(own).toEqual([...own].sort((a, b) => a - b));
        expect(own[0]).toBeGreaterThan(asked - 1);
        expect(own.at(-1)).toBeLessThan(answered + 1);
      }
    }
    const { kernels, waiting, messages, script, total, steps } = profile.summary();
    expect(steps).toBe(3);
    expect(kernels.reduce((n, k) => n + k.calls, 0)).toBe(runs[0]?.calls.length);
    expect(kernels.find((k) => k.op === 'gelu')?.bytes).toBe(2 * 4 * 40 * 64);
    for (const k of kernels) expect(k.slowest).toBeGreaterThanOrEqual(k.ms - 1e-9);
    const spent = kernels.reduce((all, k) => all + k.ms, 0);
    expect(spent).toBeGreaterThan(0);
    expect(spent + waiting + messages + script).toBeCloseTo(total, 6);
    expect(script).toBeCloseTo(0, 9);
    expect(profile.summary({ steps: 1, ms: 3 * total + 5 }).script).toBeCloseTo(5, 6);
    expect(profile.summary({ steps: 1, ms: 3 * total + 5 }).total).toBeCloseTo(3 * total + 5, 6);
    expect(kernels.reduce((all, k) => all + k.waiting, 0)).toBeLessThanOrEqual(waiting + 1e-6);

    const { traceEvents } = JSON.parse(
      chromeTrace(runs, [{ name: 'all', from: (runs[0]?.asked ?? 0) - 2, to: runs[2]?.answered ?? 0 }]),
    ) as { traceEvents: { name: string; ph: string; tid: number; ts: number; dur: number }[] };
    expect(traceEvents.filter((e) => e.ph === 'M')).toHaveLength(1 + threads);
    const spans = traceEvents.filter((e) => e.ph === 'X');
    expect(spans).toHaveLength(1 + 3 + 3 * threads * (runs[0]?.calls.length ?? 0));
    expect(spans[0]).toMatchObject({ name: 'all', tid: 0, ts: 0 });
    for (const { ts, dur } of spans) {
      expect(ts).toBeGreaterThanOrEqual(0);
      // 1 ms: the last stamps of threads other than the first
      expect(ts + dur).toBeLessThanOrEqual((spans[0]?.dur ?? 0) + 1000);
    }
  });
});

describe('what a call does', () => {
  it('is counted from the true rows of a run, and for attention from the keys that each query sees', async () => {
    const runs: ProfiledRun[] = [];
    const device = await WasmDevice.create({ threads: 1, profile: (run) => runs.push(run) });
    const [heads, headDim, vocab] = [3, 8, 50];
    const width = heads * headDim;
    const [w, head] = [new Variable('w', f32([width, width])), new Variable('head', f32([vocab, width]))];
    const inputs = {
      x: f32([40, width], 'tokens'),
      segments: i32([4, 6], 'segments'),
      labels: i32([40], 'tokens'),
    };
    const program = compile('counted', inputs, ({ x, segments, labels }) => {
      const q = product(x, w.tensor);
      const y = attention(q, x, x, segments, { heads, kvHeads: heads, headDim });
      const loss = sum(tokenLogProbs(y, head.tensor, labels));
      const [dw] = grad(loss, [w.tensor, head.tensor]);
      return { outputs: { loss }, updates: dw ? [{ variable: w, value: dw }] : [] };
    });
    const executable = await device.load(program);
    // A prompt of 5 with branches of 4 and 3, and a lone sequence of 6.
    const table = [
      [0, 5, 0, 5, 0, 0],
      [5, 4, 5, 4, 0, 5],
      [9, 3, 9, 3, 0, 5],
      [12, 6, 12, 6, 0, 0],
    ];
    const tokens = 18;
    await executable.run({
      x: new Float32Array(tokens * width),
      segments: table.flat(),
      labels: new Int32Array(tokens),
    });
    await device.dispose();

    const sums = new Map<string, number>();
    for (const { op, flops } of runs[0]?.calls ?? []) sums.set(op, (sums.get(op) ?? 0) + flops);
    const pairs = 15 + (4 * 5 + 10) + (3 * 5 + 6) + 21;
    expect(sums.get('attention')).toBe(2 * 2 * width * pairs);
    expect(sums.get('attentionGrad')).toBe(5 * 2 * width * pairs);
    expect(sums.get('tokenLogProbs')).toBe(2 * tokens * width * vocab);
    // Logits again, dWeight, dHidden.
    expect(sums.get('tokenLogProbsGrad')).toBe(3 * 2 * tokens * width * vocab);
    expect((sums.get('matmul') ?? 0) + (sums.get('weightGrad') ?? 0)).toBe(2 * 2 * tokens * width * width);
  });
});
