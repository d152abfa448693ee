import { PrefgradError } from '../../engine/errors.ts';
import { contradictions } from './checks.ts';
import { completeData } from './data.ts';
import { commonDefaults, hpoDefaults, methodDefaults, paperPreset, samplingDefaults } from './defaults.ts';
import { isObject, normalizeKeys } from './keys.ts';
import { baseNames, defaultLoss, resolveBase } from './losses.ts';
import { completeLora } from './lora.ts';
import { nearest } from './nearest.ts';
import { completeRewards } from './rewards.ts';
import {
  dataShape,
  rewardShape,
  sections,
  settingsSchema,
  settingsShape,
  type GivenSettings,
} from './schema.ts';
import { sentences, show } from './sentences.ts';
import type { HpoSettings, Method, TrainConfig, TrainSettings } from './types.ts';

export interface ParseOptions {
  /** What errors call the configuration: its file's path. */
  source?: string;
}

/**
 * A configuration with TRL's names (snake_case, camelCase too) and TRL's defaults for what is not given.
 * Throws a PrefgradError with one sentence per mistake: unknown keys (with the nearest known one), wrong
 * types and ranges, contradictions, and options that this version does not have.
 */
export function parseConfig(input: unknown, { source = 'configuration' }: ParseOptions = {}): TrainConfig {
  const { given, whole, mistakes } = check(input, source);
  for (const key of ['model', 'data'] as const) {
    if (given[key] === undefined && !mistakes.some((mistake) => /^\w+/.exec(mistake)?.[0] === key)) {
      mistakes.push(`${key}: is missing, expected ${settingsShape[key].description ?? ''}`);
    }
  }
  const settings = complete(given, whole, mistakes);
  const data = completeData(given.data, 'data', mistakes);
  const evalData = completeData(given.evalData, 'eval_data', mistakes);
  if (whole && settings.evalStrategy !== 'no' && evalData === null) {
    mistakes.push(
      `eval_strategy: ${settings.evalStrategy} needs eval_data; give a file of held-out rows, or set eval_strategy: no`,
    );
  }
  refuse(mistakes, source);
  return {
    model: given.model ?? '',
    data: data ?? '',
    evalData,
    outputDir: given.outputDir ?? commonDefaults.outputDir,
    lora: completeLora(given.lora),
    ...settings,
  };
}

/** The same without files, for programs that hold the model and the rows themselves. */
export function parseSettings(
  input: unknown,
  { source = 'configuration' }: ParseOptions = {},
): TrainSettings {
  const { given, whole, mistakes } = check(input, source);
  for (const key of ['model', 'data', 'evalData', 'outputDir'] as const) {
    if (given[key] !== undefined)
      mistakes.push(`${key}: names a file, but here the program passes what it holds`);
  }
  if (given.lora !== undefined && given.lora !== null)
    mistakes.push('lora: here the program passes the model, which may be that of `new Lora(model, …)`');
  const settings = complete(given, whole, mistakes);
  refuse(mistakes, source);
  return settings;
}

function refuse(mistakes: readonly string[], source: string): void {
  if (mistakes.length > 0) throw new PrefgradError(mistakes.map((text) => `${source}: ${text}`).join('\n'));
}

interface Checked {
  /** The keys whose values fit. */
  given: GivenSettings;
  /** Whether that is all of them. */
  whole: boolean;
  mistakes: string[];
}

/** Names, types and ranges. */
function check(input: unknown, source: string): Checked {
  if (!isObject(input)) {
    throw new PrefgradError(
      `${source}: is ${Array.isArray(input) ? 'a list' : show(input ?? null)}, expected a mapping of keys to values, such as \`method: dpo\``,
    );
  }
  const { settings, mistakes } = normalizeKeys(input);
  const parsed = settingsSchema.safeParse(settings);
  if (parsed.success) return { given: parsed.data, whole: true, mistakes };
  mistakes.push(
    ...sentences(parsed.error, settings, settingsShape, {
      ...sections,
      rewards: rewardShape,
      data: dataShape,
      evalData: dataShape,
    }),
  );
  const wrong = new Set(parsed.error.issues.map(({ path }) => String(path[0])));
  const fitting = Object.fromEntries(Object.entries(settings).filter(([key]) => !wrong.has(key)));
  return { given: settingsSchema.parse(fitting), whole: false, mistakes };
}

/** Fills in the defaults: what is given wins over the preset, the preset over the method, that over TRL. */
function complete(given: GivenSettings, whole: boolean, mistakes: string[]): TrainSettings {
  const method = given.method ?? fallbackMethod(mistakes);
  const paper = given.hpo?.preset === 'paper' && method === 'hpo';
  const rewards = completeRewards(given.rewards ?? [], mistakes);
  const merged = {
    ...commonDefaults,
    ...methodDefaults[method],
    ...(paper ? paperPreset.settings : {}),
    ...withoutUndefined(given),
  };
  const { base: givenBase, ...givenHpo } = given.hpo ?? {};
  for (const name of givenBase ?? [])
    if (!baseNames.includes(name))
      mistakes.push(`hpo.base: ${name} is no preference loss; did you mean ${nearest(name, baseNames)}?`);
  const { base, lossType } = resolveBase(
    givenBase ?? given.lossType ?? [(paper ? paperPreset.hpo : hpoDefaults).base],
  );
  if (lossType !== undefined && given.lossType !== undefined && lossType.join() !== given.lossType.join())
    mistakes.push(
      `hpo.base and loss_type: name ${lossType.join(', ')} and ${given.lossType.join(', ')}; keep one of the two keys`,
    );
  const hpo: HpoSettings = {
    ...hpoDefaults,
    ...(paper ? { ...paperPreset.hpo, valueLearningRate: merged.learningRate } : {}),
    ...withoutUndefined(givenHpo),
    base,
  };
  const settings: TrainSettings = {
    method,
    lossType: given.lossType ?? lossType ?? [defaultLoss(method, base)],
    lossWeights: merged.lossWeights,
    beta: merged.beta,
    labelSmoothing: merged.labelSmoothing,
    fDivergenceType: merged.fDivergenceType,
    fAlphaDivergenceCoef: merged.fAlphaDivergenceCoef,
    useWeighting: merged.useWeighting,
    ldAlpha: merged.ldAlpha,
    discopopTau: merged.discopopTau,
    desirableWeight: merged.desirableWeight,
    undesirableWeight: merged.undesirableWeight,
    simpoGamma: merged.simpoGamma,
    cpoAlpha: merged.cpoAlpha,
    completionOnlyLoss: merged.completionOnlyLoss,
    maxLength: merged.maxLength,
    truncation: merged.truncation,
    addBos: merged.addBos,
    perDeviceTrainBatchSize: merged.perDeviceTrainBatchSize,
    perDeviceEvalBatchSize: merged.perDeviceEvalBatchSize,
    gradientAccumulationSteps: merged.gradientAccumulationSteps,
    trainSamplingStrategy: merged.trainSamplingStrategy,
    numTrainEpochs: merged.numTrainEpochs,
    maxSteps: merged.maxSteps,
    optim: merged.optim,
    optimStateDtype: merged.optimStateDtype,
    learningRate: merged.learningRate,
    lrSchedulerType: merged.lrSchedulerType,
    warmupSteps: given.warmupSteps ?? given.warmupRatio ?? merged.warmupSteps,
    adamBeta1: merged.adamBeta1,
    adamBeta2: merged.adamBeta2,
    adamEpsilon: merged.adamEpsilon,
    weightDecay: merged.weightDecay,
    maxGradNorm: merged.maxGradNorm,
    gradientCheckpointing: merged.gradientCheckpointing,
    seed: merged.seed,
    device: merged.device,
    threads: merged.threads,
    loggingSteps: merged.loggingSteps,
    saveStrategy: merged.saveStrategy,
    saveSteps: merged.saveSteps,
    saveTotalLimit: merged.saveTotalLimit,
    evalStrategy: merged.evalStrategy,
    evalSteps: merged.evalSteps ?? merged.loggingSteps,
    earlyStoppingPatience: merged.earlyStoppingPatience,
    earlyStoppingThreshold: merged.earlyStoppingThreshold,
    loadBestModelAtEnd: merged.loadBestModelAtEnd,
    metricForBestModel: merged.metricForBestModel,
    greaterIsBetter: merged.greaterIsBetter,
    reportTo: merged.reportTo,
    overwriteOutputDir: merged.overwriteOutputDir,
    resumeFromCheckpoint: merged.resumeFromCheckpoint === false ? null : merged.resumeFromCheckpoint,
    hpo,
    sampling: { ...samplingDefaults, ...withoutUndefined(given.sampling ?? {}) },
    rewards,
  };
  // Keys contradict each other only when all of them could be read.
  if (whole) mistakes.push(...contradictions(settings, given));
  return settings;
}

function fallbackMethod(mistakes: string[]): Method {
  if (!mistakes.some((mistake) => mistake.startsWith('method:'))) {
    mistakes.push(`method: is missing, expected ${settingsShape.method.description ?? ''}`);
  }
  return 'dpo';
}

function withoutUndefined<T extends object>(given: T): T {
  const kept = { ...given };
  for (const key of Object.keys(kept) as (keyof T)[]) if (kept[key] === undefined) delete kept[key];
  return kept;
}
