/** One thing that the bench measures, as its own command line says it: `gemm --m 1024 …`. */
export interface Measurement {
  readonly kind:
    | ('gemm' | 'gpt-step' | 'dpo' | 'hpo' | 'decode' | 'gpu.js' | 'peer-gemm' | 'peer-step')
    // Python's.
    | ('torch-gemm' | 'torch-step' | 'trl-dpo');
  /** Options by name, without `--json`. */
  readonly options: Readonly<Record<string, string | number>>;
}

export const UNITS = {
  gflops: 'GFLOP/s',
  ms: 'ms',
  pairs_per_second: 'pairs/s',
  tokens_per_second: 'tokens/s',
  ratio: '×',
} as const;
export type Unit = keyof typeof UNITS;

/** Those that measure one whole run, however long it takes. */
export const WHOLE_RUNS: ReadonlySet<Measurement['kind']> = new Set(['dpo', 'hpo', 'decode', 'trl-dpo']);

/** What a measurement's command prints with `--samples`: the median, every sample in its unit, and the noise. */
export interface Answer extends Partial<Record<Unit, number>> {
  readonly samples: readonly number[];
  /** Cores that other processes took meanwhile, on average. */
  readonly others: number;
  /** Further numbers under their names. */
  readonly also?: Readonly<Record<string, number>>;
  /** Seconds of each step, where the samples are of whole runs. */
  readonly steps?: readonly number[];
}

export interface Result extends Measurement {
  /** `Node 20.20.2`. */
  readonly runtime: string;
  readonly unit: Unit;
  readonly median: number;
  readonly samples: readonly number[];
  /** The most of its rounds, in cores. */
  readonly others: number;
  readonly also?: Readonly<Record<string, number>> | undefined;
  readonly steps?: readonly number[] | undefined;
}

/** Errors: an answer without one. */
export function unitOf(answer: Answer): Unit {
  const unit = (Object.keys(UNITS) as Unit[]).find((name) => answer[name] !== undefined);
  if (unit === undefined) throw new Error(`an answer without a unit: ${JSON.stringify(answer)}`);
  return unit;
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

/** Four digits: more than any two runs agree on. */
export const rounded = (value: number): number => Number(value.toPrecision(4));
