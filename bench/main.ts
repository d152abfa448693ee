import { Command, Option } from 'commander';
import { profileTable } from '../cli/profileTable.ts';
import type { ProfiledRun } from '../engine/index.ts';
import { Profile, WasmDevice } from '../engine/index.ts';
import type { PageJob } from './browser.ts';
import { timeInChromium } from './chromium.ts';
import type { Common, Timed } from './commands.ts';
import {
  STEP_SIZES,
  answer,
  answerOnce,
  effortOf,
  measurement,
  simdOption,
  whole,
  wholeRun,
} from './commands.ts';
import type { Watched } from './contention.ts';
import { watched, watchedAround } from './contention.ts';
import { timeDecoding } from './decode.ts';
import type { DpoRun } from './dpo.ts';
import { dpoSummary, timeDpo } from './dpo.ts';
import { prepareDpoData } from './dpoData.ts';
import type { GemmShape } from './gemm.ts';
import { Gemm, LAYOUTS, gflops } from './gemm.ts';
import type { StepShape } from './gptStep.ts';
import { GptStep } from './gptStep.ts';
import { timeHpo } from './hpoCost.ts';
import { measure } from './measure.ts';
import { median } from './measurement.ts';
import type { StepPeer } from './peers/measurePeers.ts';
import { STEP_PEERS, timePeerGemm, timePeerStep } from './peers/measurePeers.ts';
import type { Peer } from './peers/packages.ts';
import { PEERS } from './peers/packages.ts';
import { STEP_DATA, stepData, writeStepData } from './stepData.ts';
import type { SuiteOptions } from './suite.ts';
import { runSuite } from './suite.ts';

type InPage = Timed & { readonly simd: PageJob['simd']; readonly chromium: boolean };

const inChromium = () => new Option('--chromium', 'in a page of Chromium').default(false);

/** Seconds of each run of what `load` gives, here or in a page. */
async function time(
  options: InPage,
  job: Pick<PageJob, 'kind' | 'shape'>,
  load: (device: WasmDevice) => Promise<{ run(): Promise<unknown> }>,
  profile?: (run: ProfiledRun) => void,
): Promise<Watched> {
  const { threads, simd } = options;
  const effort = effortOf(options);
  if (options.chromium)
    return watchedAround(() => timeInChromium({ ...job, threads, simd, effort } as PageJob));
  const device = await WasmDevice.create({ threads, simd, profile });
  try {
    const loaded = await load(device);
    return await watched(() => measure(job.kind, () => loaded.run(), effort));
  } finally {
    await device.dispose();
  }
}

const gemm = measurement('gemm', 'a matrix product through the engine, GFLOP/s', [
  ['m', 1024],
  ['n', 1024],
  ['k', 1024],
])
  .addOption(new Option('--layout <layout>', 'which operand is transposed').choices(LAYOUTS).default('NN'))
  .addOption(simdOption())
  .addOption(inChromium())
  .action((options: InPage & GemmShape) => {
    const { m, n, k, layout } = options;
    const shape = { m, n, k, layout };
    const work = time(options, { kind: 'gemm', shape }, (device) => Gemm.load(shape, device));
    return answer(options, 'gflops', work, (seconds) => gflops(shape, seconds));
  });

const shapeOf = ({ layers, width, heads, length, batch, vocab }: StepShape): StepShape => ({
  ...{ layers, width, heads, length, batch, vocab },
});

const gptStep = measurement(
  'gpt-step',
  'a GPT-2 training step: forward, backward, SGD; milliseconds',
  STEP_SIZES,
)
  .option('--profile', 'also print where the time goes, on stderr', false)
  .addOption(simdOption())
  .addOption(inChromium())
  .action(async (options: InPage & StepShape & { profile: boolean }) => {
    const profile = new Profile();
    const listener = options.profile ? (run: ProfiledRun) => profile.add(run) : undefined;
    const shape = shapeOf(options);
    const load = (device: WasmDevice) => GptStep.load(shape, device);
    const work = time(options, { kind: 'gpt-step', shape }, load, listener);
    await answer(options, 'ms', work, (seconds) => 1000 * seconds);
    if (options.profile) process.stderr.write(profileTable(profile.summary(), 'a run'));
  });

const dpo = wholeRun(
  'dpo',
  'an epoch of DPO, SmolLM2-135M on 12 real pairs; pairs a second, the reference included',
  [['batch', 2]],
)
  .option('--lora <rank>', 'train adapters of this rank on all linear layers', whole, 0)
  .action(async (options: Common & DpoRun) => {
    await prepareDpoData();
    await answerOnce(options, 'pairs_per_second', async () => {
      const times = await timeDpo(options);
      const { pairs_per_second: value = NaN, ...also } = dpoSummary(times, options.batch);
      return { value, also, steps: times.steps };
    });
  });

const hpo = wholeRun(
  'hpo',
  'a step of HPO beside one of its base loss, SmolLM2-135M with adapters of rank 16; times as long',
  [],
).action(async (options: Common) => {
  await prepareDpoData();
  await answerOnce(options, 'ratio', async () => {
    const times = await timeHpo(options.threads);
    const ratios = times.hpo.map((seconds, i) => seconds / (times.base[i] ?? NaN));
    const also = { base_seconds: median(times.base), hpo_seconds: median(times.hpo) };
    return { value: median(ratios), also, steps: ratios };
  });
});

const decode = wholeRun('decode', 'greedy decoding of one stream, SmolLM2-135M in float32; tokens a second', [
  ['tokens', 96],
]).action(async (options: Common & { tokens: number }) => {
  await prepareDpoData();
  await answerOnce(options, 'tokens_per_second', async () => {
    const { tokens, weightBytes, bandwidth } = await timeDecoding(options.threads, options.tokens);
    const value = 1 / median(tokens);
    const [read, memory] = [(1e-9 * weightBytes) / median(tokens), 1e-9 * bandwidth];
    return { value, also: { gb_per_second: read, memory_gb_per_second: memory, share: read / memory } };
  });
});

const gpuJs = measurement('gpu.js', 'the same product by gpu.js, as it is configured in Node; GFLOP/s', [
  ['n', 512],
]).action((options: Timed & { n: number }) => {
  const { n } = options;
  const work = watched(async () => (await import('./gpuJs.ts')).timeGpuJs(n, effortOf(options)));
  return answer(options, 'gflops', work, (seconds) => gflops({ m: n, n, k: n }, seconds));
});

const library = (names: readonly string[]) =>
  new Option('--library <name>', 'whose').choices(names).makeOptionMandatory();

const peerGemm = measurement('peer-gemm', 'the same product by a library of bench/peers; GFLOP/s', [
  ['n', 1024],
])
  .addOption(library(Object.keys(PEERS)))
  .action((options: Timed & { library: Peer; n: number }) => {
    const { library: peer, n, threads } = options;
    const work = watched(() => timePeerGemm(peer, n, threads, effortOf(options)));
    return answer(options, 'gflops', work, (seconds) => gflops({ m: n, n, k: n }, seconds));
  });

const peerStep = measurement(
  'peer-step',
  'the same step by a library of bench/peers; milliseconds',
  STEP_SIZES,
)
  .addOption(library(STEP_PEERS))
  .action((options: Timed & StepShape & { library: StepPeer }) => {
    const work = watched(() => timePeerStep(options.library, shapeOf(options), effortOf(options)));
    return answer(options, 'ms', work, (seconds) => 1000 * seconds);
  });

const exportStep = wholeRun(
  'export-step',
  'write the weights, batch and losses of gpt-step, for Python',
  STEP_SIZES,
)
  .option('--to <folder>', '', STEP_DATA)
  .action(async (options: StepShape & { to: string }) =>
    writeStepData(options.to, await stepData(shapeOf(options))),
  );

const exportDpo = new Command('export-dpo')
  .description('write the model and the pairs of dpo, for Python')
  .action(prepareDpoData);

const program = new Command('bench')
  .description(
    'Measures prefgrad beside others. Without a command: all of it, and bench/RESULTS.md, results.json and plots are written.',
  )
  .option('--quick', 'small shapes and few samples, prefgrad and gpu.js alone; nothing is written', false)
  .option('--only <text>', 'the tables whose titles have this text; nothing is written')
  .option('--rounds <n>', 'how often all is measured, the samples taken together', whole, 2)
  .option('--patience <minutes>', 'how long to wait in all for a quiet machine', Number, 20)
  .action((options: SuiteOptions) => runSuite(options));
for (const command of [gemm, gptStep, dpo, hpo, decode, gpuJs, peerGemm, peerStep, exportStep, exportDpo])
  program.addCommand(command);
await program.parseAsync();
