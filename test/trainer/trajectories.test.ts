import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../trainer/events.ts';
import type { MetricsLine } from '../../trainer/metrics.ts';
import { noWebGpu } from '../engine/webgpu.ts';
import { needsShared, shared } from '../shared.ts';
import { fresh, runTraining } from './runs.ts';

// The same configurations, tolerances and floors as ../shared/check/trajectory.mjs.

const fixtures = shared('fixtures') ?? '';
/** All but those of LoRA. */
const trlRuns =
  fixtures === '' ? [] : readdirSync(join(fixtures, 'trl')).filter((name) => !/lora|\.json$/.test(name));
const hpoRuns = fixtures === '' ? [] : readdirSync(join(fixtures, 'hpo'));

interface TrlMeta {
  readonly model: string;
  readonly trainer: string;
  readonly max_steps: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly Readonly<Record<string, number | null>>[];
}

interface HpoMeta {
  readonly model: string;
  readonly max_steps: number;
  readonly base: string;
  readonly beta: number;
  readonly gamma: number;
  readonly lam: number;
  readonly tau: number;
  readonly clip: number | null;
  readonly value_coefficient: number;
  readonly value_learning_rate: number;
  readonly actor_warmup_steps: number;
  readonly reduction: 'mean' | 'sum';
  readonly learning_rate: number;
  readonly max_length: number;
  readonly history: readonly HpoStep[];
}

interface HpoStep {
  readonly loss: number;
  readonly loss_preference: number;
  readonly loss_actor: number;
  readonly loss_value: number;
  readonly kl: number | null;
  readonly grad_norm: number;
  readonly grad_norm_value: number;
  readonly learning_rate: number;
  readonly values: readonly number[];
  /** Of the batch's chosen completions, then of its rejected ones. */
  readonly weights: readonly number[];
  readonly logps: readonly number[];
}

/** Further runs of TRL's, whose options meet each other: see fixtures/trl/make.py. */
const combinations = JSON.parse(
  readFileSync(new URL('../fixtures/trl/combinations.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, TrlMeta>>;

const readMeta = (kind: 'trl' | 'hpo', name: string): unknown =>
  JSON.parse(readFileSync(join(fixtures, kind, name, 'meta.json'), 'utf8'));

const common = {
  logging_steps: 1,
  train_sampling_strategy: 'sequential',
  save_strategy: 'no',
  eval_strategy: 'no',
  seed: 1,
};

function trlKeys({ model, trainer, max_steps, config }: TrlMeta) {
  const kind = trainer.split('.').at(-1) ?? '';
  const method = { KTOTrainer: 'kto', SFTTrainer: 'sft' }[kind] ?? 'dpo';
  const free = { CPOTrainer: 'cpo', ORPOTrainer: 'orpo' }[kind];
  return {
    ...common,
    model: join(fixtures, model),
    data: join(fixtures, method === 'kto' ? 'unpaired.jsonl' : 'pairs.jsonl'),
    max_steps,
    method,
    ...(free === undefined ? {} : { loss_type: free, add_bos: true }),
    ...(method === 'sft' ? { completion_only_loss: true } : {}),
    ...config,
  };
}

function hpoKeys(name: string, meta: HpoMeta) {
  const module = `${fresh('short')}.mjs`;
  writeFileSync(
    module,
    'export default (prompt, completion) => Math.min(Math.max(1.2 - completion.trim().split(/\\s+/).filter(Boolean).length / 40, 0), 1);\n',
  );
  return {
    ...common,
    model: join(fixtures, meta.model),
    data: join(fixtures, 'pairs.jsonl'),
    max_steps: meta.max_steps,
    method: 'hpo',
    per_device_train_batch_size: 4,
    beta: meta.beta,
    learning_rate: meta.learning_rate,
    lr_scheduler_type: 'linear',
    warmup_steps: 2,
    max_grad_norm: 1,
    weight_decay: 0,
    max_length: meta.max_length,
    hpo: {
      base: meta.base,
      gamma: meta.gamma,
      lambda: meta.lam,
      tau: meta.tau,
      weight_clip: meta.clip === null ? null : Math.exp(meta.clip),
      value_coefficient: meta.value_coefficient,
      value_learning_rate: meta.value_learning_rate,
      value_head: join(fixtures, 'hpo', name, 'value-head-initial.safetensors'),
      actor_warmup_steps: meta.actor_warmup_steps,
      actor_reduction: meta.reduction === 'mean' ? 'token_mean' : 'sum',
    },
    rewards: [{ module, name: 'short', weight: 1 }],
  };
}

type Expected = Readonly<Record<string, number>>;
const trlNames = [
  ...['loss', 'logps/chosen', 'logps/rejected', 'rewards/chosen', 'rewards/rejected', 'rewards/margins'],
  ...['kl', 'grad_norm', 'learning_rate', 'nll_loss', 'log_odds_ratio', 'log_odds_chosen'],
];

function trlExpected(history: TrlMeta['history'][number]): Expected {
  const expected: Record<string, number> = {};
  // An accuracy whose margin is a rounding error is a coin's.
  const decided = Math.abs(history['rewards/margins'] ?? 0) > 0.02;
  for (const name of [...trlNames, ...(decided ? ['rewards/accuracies'] : [])]) {
    const value = history[name];
    if (value !== null && value !== undefined) expected[name] = value;
  }
  return expected;
}

function hpoExpected(step: HpoStep): Expected {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const half = (values: readonly number[], which: 0 | 1) =>
    mean(values.slice((which * values.length) / 2, ((which + 1) * values.length) / 2));
  return {
    loss: step.loss,
    'loss/preference': step.loss_preference,
    'loss/actor': step.loss_actor,
    'loss/value': step.loss_value,
    'value/mean': mean(step.values),
    'weight/chosen': half(step.weights, 0),
    'weight/rejected': half(step.weights, 1),
    'logps/chosen': half(step.logps, 0),
    'logps/rejected': half(step.logps, 1),
    grad_norm: step.grad_norm,
    'grad_norm/value': step.grad_norm_value,
    learning_rate: step.learning_rate,
    ...(step.kl === null ? {} : { kl: step.kl }),
  };
}

const floorOf = (name: string): number =>
  name.startsWith('rewards/') || name === 'kl' ? 0.3 : name === 'learning_rate' ? 1e-5 : 1e-2;

/** The largest difference, and where it is. */
function worstOf(
  lines: readonly MetricsLine[],
  expected: readonly Expected[],
): { off: number; where: string } {
  let worst = { off: 0, where: '' };
  expected.forEach((step, i) => {
    for (const [name, value] of Object.entries(step)) {
      const got = lines[i]?.[name] ?? NaN;
      const off = Math.abs(got - value) / Math.max(Math.abs(value), floorOf(name));
      if (!(off <= worst.off)) worst = { off, where: `${name} at step ${i + 1}: ${got} against ${value}` };
    }
  });
  return worst;
}

/** Trains, for the first `steps` steps alone where they are given, and compares. */
async function check(
  keys: Readonly<Record<string, unknown>>,
  history: readonly Expected[],
  tolerance: number,
  steps = history.length,
): Promise<void> {
  const controller = new AbortController();
  const onEvent = (event: TrainEvent) => {
    if (event.type === 'step' && event.step === steps && steps < history.length) controller.abort();
  };
  const { metrics } = await runTraining(keys, { signal: controller.signal, onEvent });
  expect(metrics.length).toBe(steps);
  const { off, where } = worstOf(metrics, history.slice(0, steps));
  expect(off, where).toBeLessThanOrEqual(tolerance);
}

describe.skipIf(fixtures === '')(`trajectories of TRL and of HPO in PyTorch ${needsShared}`, () => {
  for (const name of trlRuns) {
    it(`trl/${name} on wasm`, async () => {
      const meta = readMeta('trl', name) as TrlMeta;
      await check({ ...trlKeys(meta), device: 'wasm' }, meta.history.map(trlExpected), 3e-4);
    });
  }
  for (const [name, meta] of Object.entries(combinations)) {
    it(`TRL's ${name} on wasm`, async () => {
      await check({ ...trlKeys(meta), device: 'wasm' }, meta.history.map(trlExpected), 3e-4);
    });
  }
  for (const name of hpoRuns) {
    it(`hpo/${name} on wasm`, async () => {
      const meta = readMeta('hpo', name) as HpoMeta;
      await check({ ...hpoKeys(name, meta), device: 'wasm' }, meta.history.map(hpoExpected), 2e-3);
    });
  }
  // In float64 with plain loops: the first steps alone, of HPO until L_actor counts.
  it('trl/dpo-sigmoid on the reference device', async () => {
    const meta = readMeta('trl', 'dpo-sigmoid') as TrlMeta;
    await check({ ...trlKeys(meta), device: 'reference' }, meta.history.map(trlExpected), 3e-4, 5);
  });
  it('hpo/dpo on the reference device', async () => {
    const meta = readMeta('hpo', 'dpo') as HpoMeta;
    await check({ ...hpoKeys('dpo', meta), device: 'reference' }, meta.history.map(hpoExpected), 2e-3, 7);
  });
});

describe.skipIf(fixtures === '' || noWebGpu !== '')(
  `trajectories on WebGPU ${needsShared} ${noWebGpu}`,
  () => {
    it('trl/dpo-sigmoid', async () => {
      const meta = readMeta('trl', 'dpo-sigmoid') as TrlMeta;
      await check({ ...trlKeys(meta), device: 'webgpu' }, meta.history.map(trlExpected), 3e-4);
    }, 300_000);
    it('hpo/dpo', async () => {
      const meta = readMeta('hpo', 'dpo') as HpoMeta;
      await check({ ...hpoKeys('dpo', meta), device: 'webgpu' }, meta.history.map(hpoExpected), 2e-3);
    }, 300_000);
  },
);
