import { readdirSync, readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import {
  knownKeys,
  optimizerSteps,
  parseConfig,
  parseSettings,
  warmupStepCount,
} from '../../trainer/config.ts';
import { loadConfig } from '../../trainer/config.node.ts';
import { needsShared, shared } from '../shared.ts';

const least = { model: 'm', data: 'd.jsonl' };

/** The sentences of the error that a configuration raises. */
function mistakes(config: unknown): string[] {
  try {
    parseConfig(config, { source: 'c.yaml' });
  } catch (error) {
    expect(error).toBeInstanceOf(PrefgradError);
    return error instanceof Error ? error.message.split('\n') : [];
  }
  return [];
}

describe('defaults', () => {
  it("are TRL's", () => {
    const config = parseConfig({ ...least, method: 'dpo' });
    expect(config).toMatchObject({
      model: 'm',
      outputDir: 'trainer_output',
      evalData: null,
      lossType: ['sigmoid'],
      beta: 0.1,
      learningRate: 1e-6,
      perDeviceTrainBatchSize: 8,
      gradientAccumulationSteps: 1,
      maxLength: 1024,
      truncation: 'keep_start',
      numTrainEpochs: 3,
      maxSteps: -1,
      optim: 'adamw',
      lrSchedulerType: 'linear',
      warmupSteps: 0,
      adamBeta1: 0.9,
      adamBeta2: 0.999,
      adamEpsilon: 1e-8,
      weightDecay: 0,
      maxGradNorm: 1,
      loggingSteps: 10,
      saveStrategy: 'steps',
      saveSteps: 500,
      evalStrategy: 'no',
      evalSteps: 10,
      seed: 42,
      trainSamplingStrategy: 'random',
      resumeFromCheckpoint: null,
      rewards: [],
    });
  });

  it('differ by method', () => {
    expect(parseConfig({ ...least, method: 'sft' })).toMatchObject({ lossType: ['nll'], learningRate: 2e-5 });
    expect(parseConfig({ ...least, method: 'kto' })).toMatchObject({
      lossType: ['kto'],
      learningRate: 1e-6,
      trainSamplingStrategy: 'sequential',
    });
  });

  it('of hpo are those of hpo.md', () => {
    const { hpo } = parseConfig({ ...least, method: 'hpo', rewards: [{ name: 'reading_level' }] });
    expect(hpo).toEqual({
      preset: null,
      base: 'dpo',
      gamma: 0.5,
      lambda: 5,
      tau: 0.7,
      weightClip: 100,
      valueCoefficient: 0.1,
      valueLearningRate: 1e-4,
      valueHead: null,
      valueDropout: 0,
      actorWarmupSteps: 100,
      actorReduction: 'tokenMean',
    });
  });
});

describe('preset: paper', () => {
  const rewards = [{ name: 'reading_level', weight: 0.05 }];

  it("is the paper's column", () => {
    const config = parseConfig({ ...least, method: 'hpo', hpo: { preset: 'paper' }, rewards });
    expect(config).toMatchObject({
      optim: 'rmsprop',
      learningRate: 5e-7,
      warmupSteps: 150,
      numTrainEpochs: 1,
      lossType: ['kto'],
      hpo: { base: 'kto', weightClip: null, valueDropout: 0.1, valueLearningRate: 5e-7, tau: 0.7 },
    });
  });

  it('yields to what is given', () => {
    const config = parseConfig({
      ...least,
      method: 'hpo',
      hpo: { preset: 'paper', base: 'dpo', weight_clip: 20 },
      learning_rate: 1e-5,
      warmup_ratio: 0.1,
      rewards,
    });
    expect(config).toMatchObject({
      learningRate: 1e-5,
      warmupSteps: 0.1,
      lossType: ['sigmoid'],
      hpo: { base: 'dpo', weightClip: 20, valueLearningRate: 1e-5 },
    });
  });
});

describe('spellings', () => {
  it('snake_case and camelCase are the same', () => {
    const snake = {
      ...least,
      method: 'hpo',
      learning_rate: 0.1,
      hpo: { weight_clip: null },
      rewards: [{ name: 'length' }],
    };
    const camel = {
      ...least,
      method: 'hpo',
      learningRate: 0.1,
      hpo: { weightClip: null },
      rewards: [{ name: 'length' }],
    };
    expect(parseConfig(camel)).toEqual(parseConfig(snake));
  });

  it.each(['adamw', 'adamw_torch', 'adamw_torch_fused'])('optim %s is AdamW', (optim) => {
    expect(parseConfig({ ...least, method: 'dpo', optim }).optim).toBe('adamw');
  });

  it('takes what other programs write', () => {
    const config = parseConfig({
      ...least,
      method: 'dpo',
      loss_type: 'sigmoid',
      truncation_mode: 'keep_completion',
      eval_strategy: false,
      save_strategy: false,
      completion_only_loss: null,
      resume_from_checkpoint: false,
    });
    expect(config).toMatchObject({
      lossType: ['sigmoid'],
      truncation: 'keep_completion',
      evalStrategy: 'no',
      saveStrategy: 'no',
      completionOnlyLoss: true,
      resumeFromCheckpoint: null,
    });
    expect(
      parseConfig({
        ...least,
        method: 'hpo',
        hpo: { actor_reduction: 'token_mean' },
        rewards: [{ name: 'length' }],
      }).hpo.actorReduction,
    ).toBe('tokenMean');
  });

  it('a key in both is a mistake', () => {
    expect(mistakes({ ...least, method: 'dpo', max_steps: 3, maxSteps: 3 })).toEqual([
      'c.yaml: max_steps: is given twice, in two spellings; keep one',
    ]);
  });
});

describe('mistakes', () => {
  it.each([
    ['lerning_rate', 'learning_rate'],
    ['learningRte', 'learning_rate'],
    ['batch_size', 'save_steps'],
    ['gamma', 'hpo.gamma'],
    ['target_modules', 'lora.target_modules'],
    ['lora_r', 'lora.r'],
    ['constructor', 'data'],
    ['__proto__x', 'hpo'],
  ])('%s names a nearest key', (key) => {
    const [sentence] = mistakes({ ...least, method: 'dpo', [key]: 1 });
    const named = /^c\.yaml: (\S+): is no key of the configuration; did you mean (\S+)\?$/.exec(
      sentence ?? '',
    );
    expect(named?.[1]).toBe(key);
    expect(knownKeys()).toContain(named?.[2]);
  });

  it('name the key that was meant', () => {
    expect(
      mistakes({
        ...least,
        method: 'hpo',
        lerning_rate: 1,
        gamma: 1,
        hpo: { gama: 1, weightclip: 3 },
        rewards: [{ name: 'length' }],
      }),
    ).toEqual([
      'c.yaml: lerning_rate: is no key of the configuration; did you mean learning_rate?',
      'c.yaml: gamma: is no key of the configuration; did you mean hpo.gamma?',
      'c.yaml: hpo.gama: is no key of the configuration; did you mean hpo.gamma?',
      'c.yaml: hpo.weightclip: is no key of the configuration; did you mean hpo.weight_clip?',
    ]);
  });

  it("say why a key of TRL's is not one here", () => {
    expect(mistakes({ ...least, method: 'dpo', bf16: true })).toEqual([
      'c.yaml: bf16: is a key of TRL that prefgrad does not need: prefgrad computes in float32; leave it out',
    ]);
  });

  it('of type and range give key, value and expectation', () => {
    expect(
      mistakes({
        ...least,
        method: 'hpo',
        learning_rate: 'fast',
        max_steps: 0,
        beta: null,
        optim: 'adam',
        warmup_steps: 2.5,
        hpo: { tau: 2, base: 7 },
        rewards: [{ name: 'length', weight: 'heavy' }],
      }),
    ).toEqual([
      'c.yaml: beta: got null, expected a number of at least 0',
      'c.yaml: max_steps: got 0, expected a whole number of at least 1, or -1 for num_train_epochs',
      'c.yaml: optim: got "adam", expected adamw, adamw_torch, adamw_torch_fused, rmsprop or sgd',
      'c.yaml: learning_rate: got "fast", expected a number of at least 0',
      'c.yaml: warmup_steps: got 2.5, expected a whole number of steps, or a share of all steps below 1',
      'c.yaml: hpo.base: got 7, expected dpo, kto, or the name of a loss, or a list of names',
      'c.yaml: hpo.tau: got 2, expected a number between 0 and 1',
      'c.yaml: rewards[0].weight: got "heavy", expected a number',
    ]);
  });

  it('are found where keys are missing', () => {
    expect(mistakes({})).toEqual([
      'c.yaml: model: is missing, expected a model folder, a .gguf file or a hub id',
      'c.yaml: data: is missing, expected the path or https:// address of a .jsonl, .json, .csv, .tsv or .parquet file, or a list of such files',
      'c.yaml: method: is missing, expected dpo, kto, sft or hpo',
    ]);
  });

  it.each([[null], [3], ['text'], [[1]]])('%j is no configuration', (input) => {
    expect(mistakes(input)).toEqual([expect.stringContaining('expected a mapping of keys to values')]);
  });
});

describe('keys that another method reads', () => {
  it('are let through at their defaults', () => {
    const config = {
      ...least,
      method: 'dpo',
      label_smoothing: 0,
      f_divergence_type: 'reverse_kl',
      f_alpha_divergence_coef: 0.5,
      use_weighting: false,
      ld_alpha: null,
      discopop_tau: 0.05,
      simpo_gamma: 0.5,
      cpo_alpha: 1,
      lora: null,
      loss_weights: [1],
    };
    expect(mistakes(config)).toEqual([]);
  });
});

describe('contradictions', () => {
  const rewards = [{ name: 'length' }];
  it.each([
    [{ method: 'hpo' }, 'rewards: method hpo needs at least one'],
    [{ method: 'dpo', rewards }, 'rewards: are read by method hpo, but method is dpo'],
    [{ method: 'dpo', hpo: {} }, 'hpo: is read by method hpo'],
    [{ method: 'dpo', eval_strategy: 'steps' }, 'eval_strategy: steps needs eval_data'],
    [{ method: 'dpo', eval_data: 'e', eval_steps: 5 }, 'eval_steps: needs eval_strategy: steps'],
    [
      { method: 'dpo', desirable_weight: 2 },
      'desirable_weight: is read by loss_type kto or apo_zero_unpaired',
    ],
    [{ method: 'hpo', rewards, undesirable_weight: 2 }, 'undesirable_weight: is read by loss_type kto or'],
    [{ method: 'sft', beta: 0.2 }, 'beta: is read by method dpo'],
    [{ method: 'kto', completion_only_loss: false }, 'completion_only_loss: is read by method sft'],
    [{ method: 'kto', per_device_train_batch_size: 1 }, 'per_device_train_batch_size: KTO needs at least 2'],
    [
      { method: 'hpo', rewards, hpo: { base: 'kto' }, per_device_train_batch_size: 1 },
      'KTO needs at least 2',
    ],
    [{ method: 'dpo', warmup_steps: 5, warmup_ratio: 0.1 }, 'warmup_steps and warmup_ratio: both are given'],
    [{ method: 'dpo', optim: 'sgd', adam_beta1: 0.5 }, 'adam_beta1: belongs to AdamW, but optim is sgd'],
    [{ method: 'kto', loss_type: 'sigmoid' }, 'loss_type: sigmoid is no loss of method kto'],
    [{ method: 'dpo', loss_type: 'sigmoit' }, 'did you mean sigmoid?'],
  ])('%j', (keys, sentence) => {
    expect(mistakes({ ...least, ...keys })).toEqual([expect.stringContaining(sentence)]);
  });

  it('are none where methods agree', () => {
    const kto = { desirable_weight: 2, per_device_train_batch_size: 2 };
    expect(mistakes({ ...least, method: 'kto', ...kto })).toEqual([]);
    expect(mistakes({ ...least, method: 'hpo', hpo: { base: 'kto' }, rewards, ...kto })).toEqual([]);
    expect(mistakes({ ...least, method: 'dpo', per_device_train_batch_size: 1 })).toEqual([]);
    expect(
      mistakes({ ...least, method: 'dpo', eval_data: 'e', eval_strategy: 'steps', eval_steps: 5 }),
    ).toEqual([]);
  });
});

describe('rewards', () => {
  const hpo = (...rewards: unknown[]) => ({ ...least, method: 'hpo', rewards });

  it('get their defaults and options', () => {
    const plain = {
      ...{ module: null, url: null, column: null, cache: true, weight: 1, normalize: 'none', options: {} },
    };
    expect(
      parseConfig(
        hpo(
          { name: 'readingLevel' },
          { name: 'length', target: 20, weight: -2, normalize: 'standardize' },
          { module: './r/short.mjs', cache: false },
          { url: 'http://localhost:8000/toxicity/?v=1', batch_size: 4 },
          { column: 'helpfulness' },
        ),
      ).rewards,
    ).toEqual([
      { ...plain, name: 'readingLevel' },
      {
        ...{ ...plain, name: 'length', weight: -2, normalize: 'standardize' },
        options: { target: 20, unit: 'words', penalize: 'both' },
      },
      { ...plain, name: 'short', module: './r/short.mjs', cache: false },
      {
        ...{ ...plain, name: 'toxicity', url: 'http://localhost:8000/toxicity/?v=1' },
        options: { batchSize: 4, parallel: 2, timeout: 60, retries: 4 },
      },
      { ...plain, name: 'helpfulness', column: 'helpfulness' },
    ]);
  });

  it.each([
    [
      { name: 'reading_levle' },
      'rewards[0].name: reading_levle is no built-in reward; did you mean reading_level?',
    ],
    [{ name: 'length', targt: 3 }, 'rewards[0].targt: is no option of reward length; did you mean target?'],
    [{ name: 'length', tolerance: 0 }, 'rewards[0].tolerance: got 0, expected a number above 0'],
    [
      { module: 'a.mjs', wieght: 3 },
      'rewards[0].wieght: is no option of a reward from a module; did you mean weight?',
    ],
    [{ weight: 1 }, 'rewards[0]: has neither a name nor a module'],
  ])('%j is a mistake', (reward, sentence) => {
    expect(mistakes(hpo(reward))).toEqual([expect.stringContaining(sentence)]);
  });

  it('need names of their own', () => {
    expect(mistakes(hpo({ name: 'length' }, { module: 'length.mjs' }))).toEqual([
      'c.yaml: rewards[1].name: length is taken by an earlier reward; name it otherwise',
    ]);
  });
});

it('parseSettings is for programs without files', () => {
  expect(parseSettings({ method: 'dpo', evalStrategy: 'steps' })).toMatchObject({
    evalStrategy: 'steps',
    beta: 0.1,
  });
  expect(() => parseSettings({ method: 'dpo', data: 'd' })).toThrow('data: names a file');
});

describe('steps', () => {
  const settings = {
    perDeviceTrainBatchSize: 4,
    gradientAccumulationSteps: 2,
    numTrainEpochs: 3,
    maxSteps: -1,
  };

  it('count as in Transformers', () => {
    // 9 rows: batches of 4, 4, 1; updates after 2 and 1 of them.
    expect(optimizerSteps(settings, 9)).toEqual({ perEpoch: 2, total: 6 });
    expect(optimizerSteps({ ...settings, numTrainEpochs: 0.75 }, 9)).toEqual({ perEpoch: 2, total: 2 });
    expect(optimizerSteps({ ...settings, maxSteps: 5 }, 9)).toEqual({ perEpoch: 2, total: 5 });
    expect(optimizerSteps(settings, 1)).toEqual({ perEpoch: 1, total: 3 });
  });

  it('warm up for a number or a share of them', () => {
    expect([warmupStepCount(0, 10), warmupStepCount(3, 10), warmupStepCount(0.25, 10)]).toEqual([0, 3, 3]);
  });
});

describe('loadConfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (text: string) => {
    const path = join(folder, 'c.yaml');
    writeFileSync(path, text);
    return path;
  };
  const text =
    'model: org/name\ndata: d.jsonl\nmethod: hpo\nlearningRate: 1e-5\nrewards: [{name: length}, {module: r/own.mjs}]\n';

  it('applies overrides as YAML', () => {
    const config = loadConfig(file(text), [
      'learning_rate=3e-4',
      'hpo.gamma=0.3',
      'hpo.weight_clip=null',
      'rewards[0].weight=2',
      'rewards.1.name=mine',
      'max_steps=7',
    ]);
    expect(config).toMatchObject({
      learningRate: 3e-4,
      maxSteps: 7,
      hpo: { gamma: 0.3, weightClip: null },
      rewards: [{ name: 'length', weight: 2 }, { name: 'mine' }],
    });
  });

  it('resolves paths against the current directory, hub ids aside', () => {
    const config = loadConfig(file(text), [
      'eval_data=e.json',
      'hpo.value_head=v.safetensors',
      'output_dir=o',
    ]);
    expect(config).toMatchObject({
      model: 'org/name',
      data: resolve('d.jsonl'),
      evalData: resolve('e.json'),
      outputDir: resolve('o'),
      hpo: { valueHead: resolve('v.safetensors') },
      rewards: [{ module: null }, { module: resolve('r/own.mjs') }],
    });
    expect(loadConfig(file(text), ['model=test']).model).toBe(resolve('test'));
  });

  it.each([
    'learning_rate',
    '=3',
    'a b=3',
    '__proto__.polluted=1',
    'rewards[5].weight=1',
    'data.path=1',
    'hpo.tau={',
  ])('refuses the override %s', (override) => {
    expect(() => loadConfig(file(text), [override])).toThrow(PrefgradError);
    expect({}).not.toHaveProperty('polluted');
  });

  it('says where YAML is broken', () => {
    const path = file('model: m\ndata: [1, 2\nmethod: dpo\n');
    expect(() => loadConfig(path)).toThrow(/c\.yaml:[23]: is not valid YAML: /);
    expect(() => loadConfig(file(''))).toThrow('is empty');
    expect(() => loadConfig(file('method: dpo\nmethod: kto\n'))).toThrow(
      /c\.yaml:2: is not valid YAML: .*unique/,
    );
    expect(() => loadConfig(join(folder, 'absent.yaml'))).toThrow('cannot be read');
  });

  it('names the file in every mistake', () => {
    const path = file('model: m\ndata: d\nmethod: dpo\nbeta: x\n');
    expect(() => loadConfig(path, ['hpo.gama=1'])).toThrow(`${path}: beta: got "x"`);
  });
});

describe.skipIf(shared('fixtures/trl') === undefined)(`fixtures ${needsShared}`, () => {
  const root = shared('fixtures/trl') ?? '';
  const runs = root === '' ? [] : readdirSync(root).filter((name) => !name.endsWith('.json'));

  it.each(runs)('%s is read', (run) => {
    const meta = JSON.parse(readFileSync(join(root, run, 'meta.json'), 'utf8')) as {
      trainer: string;
      config: Record<string, unknown>;
      lora?: Record<string, unknown> | null;
    };
    const kind = meta.trainer.split('.').at(-1) ?? '';
    const methods: Record<string, unknown> = {
      DPOTrainer: { method: 'dpo' },
      KTOTrainer: { method: 'kto' },
      SFTTrainer: { method: 'sft', completion_only_loss: true },
      CPOTrainer: { method: 'dpo', loss_type: 'cpo', add_bos: true },
      ORPOTrainer: { method: 'dpo', loss_type: 'orpo', add_bos: true },
    };
    const lora =
      meta.lora === undefined || meta.lora === null
        ? {}
        : { lora: { ...meta.lora, lora_dropout: 0, adapter: 'a' } };
    expect(mistakes({ ...least, ...(methods[kind] as object), ...meta.config, ...lora })).toEqual([]);
  });
});
