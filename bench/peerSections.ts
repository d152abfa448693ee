import type { Cell, Section } from './cells.ts';
import { GPT_STEP, gemm, gptStep } from './cells.ts';
import type { Contenders } from './contenders.ts';
import { DPO_FILES, PAIRS } from './dpoData.ts';
import type { Peer } from './peers/packages.ts';
import type { Runtime } from './runtimes.ts';
import { STEP_DATA } from './stepData.ts';

// prefgrad beside others, in one run: the others' rows are there where they are installed.

const NAMES: Record<Peer, string> = {
  'jax-js': 'jax-js',
  tfjs: 'TensorFlow.js (wasm)',
  onnxruntime: 'onnxruntime-web',
};

type Row = Section['rows'][number];

/** PyTorch's row, where there is one. */
const torchRow = (
  { python }: Contenders,
  kind: 'torch-gemm' | 'torch-step',
  options: Cell['options'],
): Row[] =>
  python === undefined
    ? []
    : [
        {
          label: `PyTorch ${python.versions['torch']}`,
          cells: [1, 2].map((threads) => ({ kind, runtime: python, options: { ...options, threads } })),
        },
      ];

export function peerGemmSection(contenders: Contenders): Section {
  const n = 1024;
  const rows = (runtime: Runtime): Row[] => [
    {
      label: `prefgrad, ${runtime.name}`,
      cells: [1, 2].map((threads) => gemm(runtime, [n, n, n], { layout: 'NN', threads })),
    },
    ...contenders.peers.map((library) => ({
      label: `${NAMES[library]}, ${runtime.name}`,
      cells: [1, 2].map((threads): Cell | undefined =>
        // The others have no threads in Node.
        threads === 1 || library === 'onnxruntime'
          ? { kind: 'peer-gemm', runtime, options: { library, n, threads } }
          : undefined,
      ),
    })),
    {
      label: `gpu.js (its WebAssembly mode, 512³), ${runtime.name}`,
      cells: [{ kind: 'gpu.js', runtime, options: { n: 512 } }, undefined],
    },
  ];
  return {
    title: 'Beside others: SGEMM 1024³ (NN), GFLOP/s',
    head: ['', '1 thread', '2 threads'],
    rows: [...contenders.node.flatMap(rows), ...torchRow(contenders, 'torch-gemm', { n })],
    plot: { file: 'gemm.svg', column: 1, unit: 'GFLOP/s on one thread' },
  };
}

export function peerStepSection(contenders: Contenders): Section {
  const rows = (runtime: Runtime): Row[] => [
    {
      label: `prefgrad, ${runtime.name}`,
      cells: [1, 2].map((threads) => gptStep(runtime, { threads })),
    },
    ...contenders.peers
      .filter((library) => library !== 'onnxruntime')
      .map((library) => ({
        label: `${NAMES[library]}, ${runtime.name}`,
        cells: [
          { kind: 'peer-step' as const, runtime, options: { library, ...GPT_STEP, threads: 1 } },
          undefined,
        ],
      })),
  ];
  return {
    title: 'Beside others: the GPT-2 step above, from the same weights to the same losses, ms',
    head: ['', '1 thread', '2 threads'],
    rows: [...contenders.node.flatMap(rows), ...torchRow(contenders, 'torch-step', { step: STEP_DATA })],
    plot: { file: 'step.svg', column: 2, unit: 'ms a step on two threads (one where a library has no more)' },
  };
}

interface DpoCase {
  readonly label: string;
  readonly batch: number;
  readonly lora?: number;
  /** What TRL does about the reference, and in what precision. */
  readonly trl: readonly {
    readonly reference: 'included' | 'apart';
    readonly precision: 'float32' | 'bf16';
  }[];
}

const DPO_CASES: readonly DpoCase[] = [
  { label: 'batch 2', batch: 2, trl: [{ reference: 'included', precision: 'float32' }] },
  {
    label: 'batch 1',
    batch: 1,
    trl: [
      { reference: 'apart', precision: 'float32' },
      { reference: 'apart', precision: 'bf16' },
    ],
  },
  {
    label: 'LoRA of rank 16 on all linear layers, batch 1',
    batch: 1,
    lora: 16,
    trl: [
      { reference: 'apart', precision: 'float32' },
      { reference: 'apart', precision: 'bf16' },
    ],
  },
];

const DPO_FIELDS = [undefined, 'seconds_per_pair', 'reference_seconds_per_pair', 'peak_gib'] as const;

/** DPO end to end; nothing where the model is not there. */
export function dpoSection({ node: [main], python, dpo }: Contenders): Section[] {
  if (main === undefined || !dpo) return [];
  const row = (label: string, cell: Cell): Row => ({
    label,
    cells: DPO_FIELDS.map((field) => (field === undefined ? cell : { ...cell, field })),
  });
  const trl = python?.versions['trl'];
  const rows = DPO_CASES.flatMap(({ label, batch, lora = 0, trl: others }): Row[] => [
    row(`prefgrad, ${main.name}, ${label}`, {
      ...{ kind: 'dpo', runtime: main },
      options: { batch, threads: 2, ...(lora > 0 ? { lora } : {}) },
    }),
    ...others
      .filter(() => trl !== undefined && (lora === 0 || python?.versions['peft'] !== undefined))
      .filter(({ precision }) => precision === 'float32' || python?.bf16 === true)
      .flatMap(({ reference, precision }): Row[] =>
        python === undefined
          ? []
          : [
              row(
                `TRL ${trl}, ${precision === 'bf16' ? 'bf16 autocast' : precision}, ${label}, reference ${reference === 'included' ? 'in each step' : 'before'}`,
                {
                  ...{ kind: 'trl-dpo', runtime: python },
                  options: {
                    ...DPO_FILES,
                    batch,
                    threads: 2,
                    reference,
                    precision,
                    ...(lora > 0 ? { lora } : {}),
                  },
                },
              ),
            ],
      ),
  ]);
  return [
    {
      title: `DPO end to end: SmolLM2-135M-Instruct, ${PAIRS} real pairs, AdamW, float32 weights, two threads, steps from the second on`,
      head: ['', 'pairs/s, reference included', 's a pair', 's a pair, reference', 'peak GiB'],
      rows,
      once: true,
      plot: { file: 'dpo.svg', column: 1, unit: 'pairs a second, the reference included' },
    },
  ];
}
