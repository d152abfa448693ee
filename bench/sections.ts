import type { Cell, Section } from './cells.ts';
import { gemm, gptStep } from './cells.ts';
import type { Contenders } from './contenders.ts';
import { dpoSection, peerGemmSection, peerStepSection } from './peerSections.ts';
import type { Runtime } from './runtimes.ts';

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

/** Every Node on the square product and the step, the first on further products. */
export function ownSections(nodes: readonly Runtime[]): Section[] {
  const [main] = nodes;
  if (main === undefined) return [];
  const each = (['relaxed', 'plain'] as const).flatMap((simd) => nodes.map((runtime) => ({ simd, runtime })));
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
        cells: THREADS.map((threads) => gptStep(runtime, { simd, threads })),
      })),
    },
  ];
}

/** Every runtime on the same two things, with and without threads, with the SIMD that it chooses itself. */
const runtimesSection = (runtimes: readonly Runtime[]): Section => ({
  title: 'Runtimes: SGEMM 1024³ (NN) and the GPT-2 step above, with the SIMD of their choice',
  head: ['runtime', 'GFLOP/s, 1 thread', '2 threads', 'ms a step, 1 thread', '2 threads'],
  rows: runtimes.map((runtime) => ({
    label: runtime.name,
    cells: [
      ...THREADS.map((threads) => gemm(runtime, [1024, 1024, 1024], { layout: 'NN', threads })),
      ...THREADS.map((threads) => gptStep(runtime, { threads })),
    ],
  })),
});

/** What HPO costs beside its base loss, and decoding; nothing where the model is not there. */
function modelSections({ node: [main], dpo }: Contenders): Section[] {
  if (main === undefined || !dpo) return [];
  const fields = (cell: Cell, names: readonly (string | undefined)[]): Cell[] =>
    names.map((field) => (field === undefined ? cell : { ...cell, field }));
  return [
    {
      title: 'HPO beside its base loss: SmolLM2-135M-Instruct, adapters of rank 16, a step of each in turn',
      head: ['', 's a pair, DPO', 's a pair, HPO', 'median of the ratios'],
      rows: [
        {
          label: `${main.name}, two threads`,
          cells: fields({ kind: 'hpo', runtime: main, options: { threads: 2 } }, [
            ...['base_seconds', 'hpo_seconds'],
            undefined,
          ]),
        },
      ],
      once: true,
    },
    {
      title: 'Greedy decoding of one stream: SmolLM2-135M-Instruct in float32',
      head: ['', 'tokens/s', 'GB/s of weights read', 'GB/s of a sum over memory', 'share'],
      rows: THREADS.map((threads) => ({
        label: `${main.name}, ${threads === 1 ? '1 thread' : `${threads} threads`}`,
        cells: fields({ kind: 'decode', runtime: main, options: { threads } }, [
          ...[undefined, 'gb_per_second', 'memory_gb_per_second', 'share'],
        ]),
      })),
      once: true,
    },
  ];
}

/** All that a full run measures. */
export function fullSections(contenders: Contenders): Section[] {
  const { node, others } = contenders;
  return [
    ...ownSections(node),
    runtimesSection([...node, ...others]),
    peerGemmSection(contenders),
    peerStepSection(contenders),
    ...dpoSection(contenders),
    ...modelSections(contenders),
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
      rows: [{ label: main.name, cells: THREADS.map((threads) => gptStep(main, { ...step, threads })) }],
    },
    {
      title: 'gpu.js, GFLOP/s',
      head: ['size', 'one thread'],
      rows: [{ label: '64³', cells: [{ kind: 'gpu.js', runtime: main, options: { n: 64 } }] }],
    },
  ];
}
