import { describe, expect, it } from 'vitest';
import { optimizerSteps, parseConfig, parseSettings, warmupStepCount } from '../../trainer/config.ts';
import { least, mistakes } from './configMistakes.ts';

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
      { ...plain, name: 'readingLevel', options: { easiest: 4, hardest: 9, grade: 'consensus' } },
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
