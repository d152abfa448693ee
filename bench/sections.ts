import type { Measurement } from './measurement.ts';
import type { Runtime } from './runtimes.ts';

export interface Cell extends Measurement {
  readonly runtime: Runtime;
}

/** A table of RESULTS.md, and with it what is measured. */
export interface Section {
  readonly title: string;
  /** Header of the first column, then of each cell. */
  readonly head: readonly string[];
  readonly rows: readonly { readonly label: string; readonly cells: readonly Cell[] }[];
}

const THREADS = [1, 2] as const;
const LAYOUTS = ['NN', 'NT', 'TN'] as const;

/** [tokens, outputs, inputs] of layers of SmolLM2 (576, 1536), GPT-2 (768, 3072), and SmolLM2's head. */
const TRAINING_SHAPES = [
  [256, 576, 576],
  [512, 1536, 576],
  [512, 576, 1536],
  [512, 2304, 768],
  [1024, 3072, 768],
  [1024, 768, 3072],
  [2048, 768, 768],
  [256, 49152, 576],
] as const;

const GPT_STEP = { layers: 4, width: 256, heads: 4, length: 128, batch: 4, vocab: 2048 };

const gemm = (
  runtime: Runtime,
  [m, n, k]: readonly [number, number, number],
  more: Cell['options'],
): Cell => ({
  kind: 'gemm',
  runtime,
  options: { m, n, k, ...more },
});

/** All that a full run measures: every runtime on the square product and the step, the first on the rest. */
export function fullSections(runtimes: readonly Runtime[]): Section[] {
  const [main] = runtimes;
  if (main === undefined) return [];
  const each = (['relaxed', 'plain'] as const).flatMap((simd) =>
    runtimes.map((runtime) => ({ simd, runtime })),
  );
  return [
    {
      title: 'SGEMM 1024³, GFLOP/s, packing included',
      head: ['runtime, SIMD, operands', '1 thread', '2 threads'],
      rows: each.flatMap(({ simd, runtime }) =>
        LAYOUTS.map((layout) => ({
          label: `${runtime.name}, ${simd}, ${layout}`,
          cells: THREADS.map((threads) => gemm(runtime, [1024, 1024, 1024], { layout, simd, threads })),
        })),
      ),
    },
    {
      title: `Shapes of training, GFLOP/s, ${main.name}, relaxed SIMD, two threads`,
      head: ['M × N × K', ...LAYOUTS],
      rows: TRAINING_SHAPES.map((shape) => ({
        label: shape.join(' × '),
        cells: LAYOUTS.map((layout) => gemm(main, shape, { layout, simd: 'relaxed', threads: 2 })),
      })),
    },
    {
      title: `Small products, GFLOP/s, ${main.name}, relaxed SIMD`,
      head: ['size', '1 thread', '2 threads'],
      rows: [64, 128, 256, 512].map((n) => ({
        label: `${n}³`,
        cells: THREADS.map((threads) => gemm(main, [n, n, n], { layout: 'NN', simd: 'relaxed', threads })),
      })),
    },
    {
      title:
        'GPT-2 training step (4 layers, width 256, 4 heads, 4 × 128 tokens, vocabulary 2048; forward, backward, SGD), ms',
      head: ['runtime, SIMD', '1 thread', '2 threads'],
      rows: each.map(({ simd, runtime }) => ({
        label: `${runtime.name}, ${simd}`,
        cells: THREADS.map((threads) => ({
          kind: 'gpt-step',
          runtime,
          options: { ...GPT_STEP, simd, threads },
        })),
      })),
    },
    {
      title: 'Baseline: gpu.js as it is configured in Node (its WebAssembly mode), GFLOP/s',
      head: ['size', 'one thread'],
      rows: [{ label: '512³', cells: [{ kind: 'gpu.js', runtime: main, options: { n: 512 } }] }],
    },
  ];
}

/** Everything once, in small: that the bench works, not how fast anything is. */
export function quickSections([main]: readonly Runtime[]): Section[] {
  if (main === undefined) return [];
  const step = { layers: 2, width: 64, heads: 2, length: 32, batch: 2, vocab: 128 };
  return [
    {
      title: 'SGEMM 256³, GFLOP/s',
      head: ['SIMD, operands', '1 thread', '2 threads'],
      rows: (['relaxed', 'plain'] as const).flatMap((simd) =>
        LAYOUTS.map((layout) => ({
          label: `${simd}, ${layout}`,
          cells: THREADS.map((threads) => gemm(main, [256, 256, 256], { layout, simd, threads })),
        })),
      ),
    },
    {
      title: 'GPT-2 training step (2 layers, width 64), ms',
      head: ['', '1 thread', '2 threads'],
      rows: [
        {
          label: main.name,
          cells: THREADS.map((threads) => ({
            kind: 'gpt-step',
            runtime: main,
            options: { ...step, threads },
          })),
        },
      ],
    },
    {
      title: 'gpu.js, GFLOP/s',
      head: ['size', 'one thread'],
      rows: [{ label: '64³', cells: [{ kind: 'gpu.js', runtime: main, options: { n: 64 } }] }],
    },
  ];
}
