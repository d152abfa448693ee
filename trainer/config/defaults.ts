import type { HpoSettings, Method, SamplingSettings } from './types.ts';

/** TRL 1.16's defaults (DPOConfig, KTOConfig, SFTConfig on Transformers 5.23) where TRL has the key. */
export const commonDefaults = {
  evalData: null,
  outputDir: 'trainer_output',
  lossWeights: null,
  beta: 0.1,
  labelSmoothing: 0,
  fDivergenceType: 'reverse_kl',
  fAlphaDivergenceCoef: 0.5,
  useWeighting: false,
  ldAlpha: null,
  discopopTau: 0.05,
  desirableWeight: 1,
  undesirableWeight: 1,
  simpoGamma: 0.5,
  cpoAlpha: 1,
  completionOnlyLoss: true,
  maxLength: 1024,
  truncation: 'keep_start',
  addBos: false,
  perDeviceTrainBatchSize: 8,
  perDeviceEvalBatchSize: 8,
  gradientAccumulationSteps: 1,
  numTrainEpochs: 3,
  maxSteps: -1,
  optim: 'adamw',
  optimStateDtype: 'float32',
  lrSchedulerType: 'linear',
  warmupSteps: 0,
  warmupRatio: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  weightDecay: 0,
  maxGradNorm: 1,
  gradientCheckpointing: null,
  seed: 42,
  device: 'auto',
  threads: null,
  loggingSteps: 10,
  saveStrategy: 'steps',
  saveSteps: 500,
  saveTotalLimit: null,
  evalStrategy: 'no',
  evalSteps: null,
  earlyStoppingPatience: null,
  earlyStoppingThreshold: 0,
  loadBestModelAtEnd: false,
  metricForBestModel: null,
  greaterIsBetter: null,
  reportTo: 'tensorboard',
  overwriteOutputDir: false,
  resumeFromCheckpoint: null,
  lora: null,
} as const;

/** What differs by method; KTOConfig takes rows in their order, the others shuffle. */
export const methodDefaults = {
  dpo: { learningRate: 1e-6, trainSamplingStrategy: 'random' },
  kto: { learningRate: 1e-6, trainSamplingStrategy: 'sequential' },
  sft: { learningRate: 2e-5, trainSamplingStrategy: 'random' },
  hpo: { learningRate: 1e-6, trainSamplingStrategy: 'random' },
} as const satisfies Record<Method, unknown>;

/** "Our default" of hpo.md. */
export const hpoDefaults: HpoSettings = {
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
};

/** "The paper" of hpo.md; the value head's learning rate is the model's there. τ is not stated. */
export const paperPreset = {
  settings: { optim: 'rmsprop', learningRate: 5e-7, warmupSteps: 150, numTrainEpochs: 1 },
  hpo: {
    base: 'kto',
    gamma: 0.5,
    lambda: 5,
    weightClip: null,
    valueCoefficient: 0.1,
    valueDropout: 0.1,
    actorWarmupSteps: 100,
    actorReduction: 'tokenMean',
  },
} as const;

export const samplingDefaults: SamplingSettings = {
  prompts: 8,
  maxNewTokens: 128,
  temperature: 0,
  topK: null,
  topP: 1,
};

export const rewardDefaults = { weight: 1, normalize: 'none', cache: true } as const;
