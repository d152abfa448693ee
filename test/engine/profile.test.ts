import { describe, expect, it } from 'vitest';
import { Variable, WasmDevice, add, compile, f32, gelu, product } from '../../engine/index.ts';
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
    const kernels = profile.kernels();
    expect(kernels.reduce((n, k) => n + k.calls, 0)).toBe(runs[0]?.calls.length);
    expect(kernels.find((k) => k.op === 'gelu')?.bytes).toBe(2 * 4 * 40 * 64);
    const spent = kernels.reduce((sum, k) => sum + k.ms + k.waiting, 0);
    const { total, outside } = profile.perRun;
    expect(spent).toBeGreaterThan(0);
    expect(spent).toBeLessThanOrEqual(total - outside + 1e-6);
    const trace = JSON.parse(chromeTrace(runs[0])) as { traceEvents: unknown[] };
    expect(trace.traceEvents).toHaveLength(1 + threads * (runs[0]?.calls.length ?? 0));
  });
});
