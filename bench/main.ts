import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ProfiledRun } from '../engine/index.ts';
import { Profile, WasmDevice } from '../engine/index.ts';
import { profileTable } from '../cli/profileTable.ts';
import { watchOthers } from './contention.ts';
import type { DpoRun } from './dpo.ts';
import { dpoSummary, timeDpo } from './dpo.ts';
import { prepareDpoData } from './dpoData.ts';
import type { GemmShape } from './gemm.ts';
import { LAYOUTS, gflops, timeGemm } from './gemm.ts';
import type { StepShape } from './gptStep.ts';
import { timeGptStep } from './gptStep.ts';
import type { Effort } from './measure.ts';
import { median } from './measurement.ts';
import { STEP_PEERS, timePeerGemm, timePeerStep } from './peers/measurePeers.ts';
import type { StepPeer } from './peers/measurePeers.ts';
import { PEERS } from './peers/packages.ts';
import type { Peer } from './peers/packages.ts';
import { stepData, writeStepData } from './stepData.ts';
import { runSuite } from './suite.ts';

interface Common {
  readonly threads: number;
  readonly simd: 'auto' | 'plain' | 'relaxed';
  readonly seconds: number;
  readonly json: boolean;
  readonly samples: boolean;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is expected.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is expected.');
  return value;
}

/** Many warm-ups where a run is long enough to be worth a measurement of its own, few for a quick look. */
const effortOf = ({ seconds }: Common): Effort => ({ seconds, samples: 5, warmups: seconds >= 1 ? 8 : 2 });

const rounded = (value: number): number => Number(value.toPrecision(4));

/** Measures and prints the median: for people, or as one line of JSON. `toUnit` is given seconds. */
async function answer(
  { json, samples: all }: Common,
  unit: 'gflops' | 'ms',
  work: Promise<number[]>,
  toUnit: (seconds: number) => number,
): Promise<void> {
  const others = watchOthers();
  const samples = (await work).map(toUnit).map(rounded);
  const value = rounded(median(samples));
  const line = all ? { [unit]: value, samples, others: rounded(others()) } : { [unit]: value };
  const text = json || all ? JSON.stringify(line) : `${value} ${unit === 'gflops' ? 'GFLOP/s' : 'ms'}`;
  process.stdout.write(`${text}\n`);
}

async function onDevice<T>(
  { threads, simd }: Common,
  work: (device: WasmDevice) => Promise<T>,
  profile?: (run: ProfiledRun) => void,
): Promise<T> {
  const device = await WasmDevice.create({ threads, simd, profile });
  try {
    return await work(device);
  } finally {
    await device.dispose();
  }
}

const program = new Command('bench')
  .description(
    'Measures prefgrad. Without a command: all of it, and bench/RESULTS.md and results.json are written.',
  )
  .option('--quick', 'small shapes and few samples; nothing is written', false)
  .option('--rounds <n>', 'how often all is measured, the samples taken together', whole, 2)
  .action((options: { quick: boolean; rounds: number }) => runSuite(options));

/** A command with the options that all have; sizes are `[name, default]`. */
const command = (
  name: string,
  description: string,
  sizes: readonly (readonly [string, number])[],
): Command => {
  const made = program.command(name).description(description);
  for (const [size, value] of sizes) made.option(`--${size} <n>`, '', whole, value);
  return made
    .option('--threads <n>', 'worker threads', whole, 2)
    .addOption(new Option('--simd <set>').choices(['auto', 'plain', 'relaxed']).default('auto'))
    .option('--seconds <s>', 'how long to measure', positive, 4)
    .option('--json', 'print one line, the median', false)
    .option('--samples', 'print one line, the median and every sample', false);
};

command('gemm', 'a matrix product through the engine, GFLOP/s', [
  ['m', 1024],
  ['n', 1024],
  ['k', 1024],
])
  .addOption(new Option('--layout <layout>', 'which operand is transposed').choices(LAYOUTS).default('NN'))
  .action((options: Common & GemmShape) => {
    const work = onDevice(options, (device) => timeGemm(device, options, effortOf(options)));
    return answer(options, 'gflops', work, (seconds) => gflops(options, seconds));
  });

const STEP = [
  ['layers', 4],
  ['width', 256],
  ['heads', 4],
  ['length', 128],
  ['batch', 4],
  ['vocab', 2048],
] as const;

command('gpt-step', 'a GPT-2 training step: forward, backward, SGD; milliseconds', STEP)
  .option('--profile', 'also print where the time goes, on stderr', false)
  .action(async (options: Common & StepShape & { profile: boolean }) => {
    const profile = new Profile();
    const listener = options.profile ? (run: ProfiledRun) => profile.add(run) : undefined;
    const work = onDevice(options, (device) => timeGptStep(device, options, effortOf(options)), listener);
    await answer(options, 'ms', work, (seconds) => 1000 * seconds);
    if (options.profile) process.stderr.write(profileTable(profile.summary(), 'a run'));
  });

command('gpu.js', 'the same product by gpu.js, as it is configured in Node; GFLOP/s', [['n', 512]]).action(
  (options: Common & { n: number }) => {
    const { n } = options;
    const work = import('./gpuJs.ts').then(({ timeGpuJs }) => timeGpuJs(n, effortOf(options)));
    return answer(options, 'gflops', work, (seconds) => gflops({ m: n, n, k: n }, seconds));
  },
);

const library = (names: readonly string[]) =>
  new Option('--library <name>', 'whose').choices(names).makeOptionMandatory();

command('peer-gemm', 'the same product by another library of bench/peers; GFLOP/s', [['n', 1024]])
  .addOption(library(Object.keys(PEERS)))
  .action((options: Common & { library: Peer; n: number }) => {
    const { library: peer, n, threads } = options;
    const work = timePeerGemm(peer, n, threads, effortOf(options));
    return answer(options, 'gflops', work, (seconds) => gflops({ m: n, n, k: n }, seconds));
  });

command('peer-step', 'the same training step by another library of bench/peers; milliseconds', STEP)
  .addOption(library(STEP_PEERS))
  .action((options: Common & StepShape & { library: StepPeer }) =>
    answer(options, 'ms', timePeerStep(options.library, options, effortOf(options)), (s) => 1000 * s),
  );

command('export-step', 'write the weights, batch and losses of gpt-step for programs in other languages', STEP)
  .requiredOption('--to <folder>')
  .action(async (options: StepShape & { to: string }) => writeStepData(options.to, await stepData(options)));

const DPO_DATA = join('bench', 'build', 'dpo');

program
  .command('export-dpo')
  .description('write the model and the 12 pairs of dpo, for TRL too')
  .action(async () => void (await prepareDpoData(DPO_DATA)));

command('dpo', 'an epoch of DPO, SmolLM2-135M on 12 real pairs; pairs a second, the reference included', [
  ['batch', 2],
])
  .option('--lora <rank>', 'train adapters of this rank on all linear layers', whole, 0)
  .action(async (options: Common & DpoRun) => {
    const data = await prepareDpoData(DPO_DATA);
    const others = watchOthers();
    const times = await timeDpo(data, options);
    const { pairs_per_second: rate = NaN, ...more } = dpoSummary(times, options.batch);
    const also = Object.fromEntries(Object.entries(more).map(([name, value]) => [name, rounded(value)]));
    const [value, steps] = [rounded(rate), times.steps.map(rounded)];
    const line = options.samples
      ? { pairs_per_second: value, samples: [value], others: rounded(others()), also, steps }
      : { pairs_per_second: value, ...also };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  });

await program.parseAsync();
