/** One thing that the bench measures, as its own command line says it: `gemm --m 1024 …`. */
export interface Measurement {
  readonly kind: 'gemm' | 'gpt-step' | 'gpu.js';
  /** Options by name, without `--json`. */
  readonly options: Readonly<Record<string, string | number>>;
}

/** What a measurement's command prints with `--samples`: the median, every sample in its unit, and the noise. */
export interface Answer {
  readonly gflops?: number;
  readonly ms?: number;
  readonly samples: readonly number[];
  /** Cores that other processes took meanwhile, on average. */
  readonly others: number;
}

export interface Result extends Measurement {
  /** `Node 20.20.2`. */
  readonly runtime: string;
  readonly unit: 'gflops' | 'ms';
  readonly median: number;
  readonly samples: readonly number[];
  /** The most of its rounds, in cores. */
  readonly others: number;
}

export const commandLine = ({ kind, options }: Measurement): string[] => [
  kind,
  ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]),
];

/** The middle of the samples; a mean would count what else the machine did. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? NaN) + (sorted[Math.floor(half)] ?? NaN)) / 2;
}
