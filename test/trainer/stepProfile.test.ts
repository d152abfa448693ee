import { describe, expect, it } from 'vitest';
import type { ProfiledRun } from '../../engine/index.ts';
import { StepProfile } from '../../trainer/stepProfile.ts';

/** A run of one call on one thread, that takes `ms` of the `ms + 2` between question and answer. */
function run(ms: number, calls = 1): ProfiledRun {
  const asked = performance.timeOrigin + performance.now() - 100;
  const stamps = Float64Array.from({ length: 2 + 2 * calls }, (_, i) => asked + 1 + (i > 1 ? ms : 0));
  const call = { op: 'matmul', kernel: 'gemm', bytes: 8, flops: 16 };
  return {
    ...{ program: 'train', calls: Array.from({ length: calls }, () => call), threads: 1 },
    ...{ stamps, asked, answered: asked + ms + 2 },
  };
}

function profileOf(steps: readonly (readonly ProfiledRun[])[]): StepProfile {
  const profile = new StepProfile();
  steps.forEach((runs, i) => {
    profile.add(run(1e6)); // between steps: an evaluation's
    profile.begin();
    for (const one of runs) profile.add(one);
    profile.end(i + 1, 0.1);
  });
  return profile;
}

describe('StepProfile', () => {
  it('leaves out the first two steps where others follow, and runs outside of steps', () => {
    const times = [50, 40, 10, 20];
    const summaries = times.map((_, n) => profileOf(times.slice(0, n + 1).map((ms) => [run(ms)])).summary);
    expect(summaries.map((s) => s?.steps)).toEqual([1, 1, 1, 2]);
    [50, 40, 10, 15].forEach((ms, i) => expect(summaries[i]?.kernels[0]?.ms).toBeCloseTo(ms, 2));
    expect(new StepProfile().summary).toBeUndefined();
  });

  it('adds up the runs of a step: kernels, messages, and the JavaScript around them', () => {
    const summary = profileOf([[], [], [run(10), run(20)], [run(30)]]).summary;
    expect(summary).toMatchObject({ steps: 2, threads: 1 });
    expect(summary?.total).toBeCloseTo(100, 6);
    expect(summary?.kernels).toMatchObject([{ op: 'matmul', calls: 1.5, bytes: 12, flops: 24 }]);
    expect(summary?.kernels[0]?.ms).toBeCloseTo(30, 2);
    expect(summary?.messages).toBeCloseTo(3, 2);
    expect(summary?.script).toBeCloseTo(100 - 33, 2);
  });

  it('copies the stamps, which the next run writes over', () => {
    const one = run(10);
    const profile = new StepProfile();
    profile.begin();
    profile.add(one);
    one.stamps.fill(0);
    profile.end(1, 0.1);
    expect(profile.summary?.kernels[0]?.ms).toBeCloseTo(10, 2);
  });

  it('traces the last steps, and of very long ones the last runs', () => {
    const named = (profile: StepProfile, name: string): unknown[] =>
      (JSON.parse(profile.trace()) as { traceEvents: { name: string }[] }).traceEvents.filter((e) =>
        e.name.startsWith(name),
      );
    const five = profileOf(Array.from({ length: 5 }, () => [run(1)]));
    expect(named(five, 'step')).toMatchObject([{ name: 'step 3' }, { name: 'step 4' }, { name: 'step 5' }]);
    expect(named(five, 'train')).toHaveLength(3);
    const long = profileOf([[run(1, 20_000), run(1, 20_000), run(1, 20_000), run(1, 20_000)]]);
    expect(named(long, 'train')).toHaveLength(2);
    expect(named(profileOf([[run(1, 60_000)]]), 'train')).toHaveLength(1);
  });
});
