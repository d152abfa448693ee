import Benchmark from 'benchmark';

/** How long to measure: until `seconds` have passed and `samples` are there. */
export interface Effort {
  readonly seconds: number;
  readonly samples: number;
  /** Runs before the first sample: compilers and caches are warm then. */
  readonly warmups: number;
}

/** Runs `run` again and again, one at a time, with the `benchmark` package's clock; seconds of each sample. */
export async function measure(name: string, run: () => Promise<unknown>, effort: Effort): Promise<number[]> {
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
        resolve(samples.map(Number));
      },
    }).run({ async: true });
  });
}
