import Benchmark from 'benchmark';

/** How long to measure: until `seconds` have passed and `samples` are there. */
export interface Effort {
  readonly seconds: number;
  readonly samples: number;
  /** Runs before the first sample: compilers and caches are warm then. */
  readonly warmups: number;
}

export const FULL: Effort = { seconds: 5, samples: 20, warmups: 5 };
export const QUICK: Effort = { seconds: 0.3, samples: 3, warmups: 1 };

/** Times of one run in seconds, in the order in which they were taken. */
export interface Timing {
  readonly name: string;
  readonly samples: readonly number[];
}

/** Runs `run` again and again, one at a time, with the `benchmark` package's clock and sampling. */
export async function measure(name: string, run: () => Promise<unknown>, effort: Effort): Promise<Timing> {
  for (let i = 0; i < effort.warmups; i++) await run();
  return new Promise((resolve, reject) => {
    new Benchmark(name, {
      defer: true,
      minSamples: effort.samples,
      maxTime: effort.seconds,
      fn: (deferred: Benchmark.Deferred) => {
        run().then(() => deferred.resolve(), reject);
      },
      onComplete: ({ target }: Benchmark.Event) => {
        const samples: unknown[] = target.stats?.sample ?? [];
        resolve({ name, samples: samples.map(Number) });
      },
    }).run({ async: true });
  });
}

/** The middle of the samples, in seconds. Means would count what else the machine did. */
export function median({ samples }: Timing): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? NaN) + (sorted[Math.floor(half)] ?? NaN)) / 2;
}
