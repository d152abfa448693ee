import { PrefgradError } from '../../engine/errors.ts';
import type { HpoSettings, LoraSettings, SamplingSettings, TrainConfig, TrainSettings } from '../config.ts';
import { knownKeys, parseConfig } from '../config.ts';
import { isObject } from '../config/keys.ts';
import { toCamel } from '../config/spelling.ts';
import type { pairLosses, referenceFreeLosses, unpairedLosses } from '../losses/registry.ts';
import { createRewards } from '../rewards/index.ts';
import type { Reward, RewardConfig, ScoreFunction } from '../rewards/reward.ts';

/** TRL's names of losses. */
export type LossName =
  keyof typeof pairLosses | keyof typeof referenceFreeLosses | keyof typeof unpairedLosses | 'nll';

/** Settings that a program gives as the command line's configuration does; the others belong to runs from files. */
const plain = [
  ...['method', 'lossWeights', 'beta', 'labelSmoothing', 'fDivergenceType', 'fAlphaDivergenceCoef'],
  ...['useWeighting', 'ldAlpha', 'discopopTau', 'desirableWeight', 'undesirableWeight', 'simpoGamma'],
  ...['cpoAlpha', 'completionOnlyLoss', 'maxLength', 'truncation', 'addBos'],
  ...['perDeviceTrainBatchSize', 'perDeviceEvalBatchSize', 'gradientAccumulationSteps'],
  ...['trainSamplingStrategy', 'numTrainEpochs', 'maxSteps', 'optim', 'learningRate', 'lrSchedulerType'],
  ...['warmupSteps', 'adamBeta1', 'adamBeta2', 'adamEpsilon', 'weightDecay', 'maxGradNorm', 'seed'],
  ...['loggingSteps', 'evalStrategy', 'evalSteps', 'earlyStoppingPatience', 'earlyStoppingThreshold'],
  ...['metricForBestModel', 'greaterIsBetter', 'device', 'threads'],
] as const satisfies readonly (keyof TrainSettings)[];

/** Further ones, which have a form of their own here. */
const shaped = [
  'lossType',
  'hpo',
  'sampling',
  'lora',
  'rewards',
] as const satisfies readonly (keyof TrainConfig)[];

/** A reward of your own: a number for a prompt and a completion. */
export interface RewardFunction {
  /** Its name in metrics: `auxiliary/<name>/chosen`. */
  readonly name: string;
  readonly score: ScoreFunction;
  /** w_k in R = Σ_k w_k r_k. Default 1. */
  readonly weight?: number;
  readonly normalize?: RewardConfig['normalize'];
}

/** A reward as the command line's configuration names it: built in, an endpoint, a column, a module. */
export interface NamedReward extends Partial<Pick<RewardConfig, 'weight' | 'normalize' | 'cache'>> {
  /** `reading_level`, `length`, …; a label where the reward comes from elsewhere. */
  readonly name?: string;
  readonly module?: string;
  readonly url?: string;
  readonly column?: string;
  /** Options of the built-in reward, or of the endpoint. */
  readonly [option: string]: unknown;
}

/** HPO's settings; what is not given has the default. */
export interface HpoTrainerSettings extends Partial<Omit<HpoSettings, 'base'>> {
  /** L_pref: a method, or losses by TRL's names. */
  readonly base?: 'dpo' | 'kto' | LossName | readonly LossName[];
}

/** TRL's settings in camelCase, with TRL's defaults: the keys of the command line's configuration. */
export interface TrainerSettings extends Partial<Pick<TrainSettings, (typeof plain)[number]>> {
  /** What is trained for. */
  readonly method: TrainSettings['method'];
  /** One loss, or several with `lossWeights`. */
  readonly lossType?: LossName | readonly LossName[];
  /** For method hpo. */
  readonly hpo?: HpoTrainerSettings;
  /** For method hpo. */
  readonly rewards?: readonly (RewardFunction | NamedReward)[];
  /** Completions of held-out prompts at each evaluation, for auxiliary rewards and for reading. */
  readonly sampling?: Partial<SamplingSettings>;
  /** Trains adapters in place of the model, with PEFT's settings. */
  readonly lora?: Partial<LoraSettings>;
}

/** Settings, checked and with their defaults. */
export interface CheckedSettings {
  readonly config: TrainConfig;
  /** Makes the rewards. */
  readonly rewards: () => Promise<Reward[]>;
}

const isFunction = (reward: unknown): reward is RewardFunction =>
  isObject(reward) && typeof reward['score'] === 'function';

/** Throws a PrefgradError with a sentence per mistake, as for a configuration file. */
export function checkSettings(given: TrainerSettings, heldOut: boolean): CheckedSettings {
  const taken = new Set<string>([...plain, ...shaped]);
  const ofFiles = new Set(knownKeys().map(toCamel));
  for (const key of Object.keys(given).map(toCamel))
    if (!taken.has(key) && ofFiles.has(key))
      throw new PrefgradError(
        `Trainer: ${key} belongs to runs from files (prefgrad train, or train of prefgrad/node); leave it out, and save with trainer.save(folder)`,
      );
  const { rewards = [] } = given;
  // To the configuration a function is a column of its name; from here on it is a function again.
  const named = rewards.map((reward) => {
    if (!isFunction(reward)) return reward;
    const { score: _, name, ...rest } = reward;
    return { ...rest, name, column: name };
  });
  const config = parseConfig(
    { ...given, rewards: named, model: 'model', data: 'data', ...(heldOut ? { evalData: 'evalData' } : {}) },
    { source: 'Trainer' },
  );
  const functions = new Map(rewards.filter(isFunction).map((reward) => [reward.name, reward.score]));
  const read = config.rewards.map((reward) =>
    functions.has(reward.name) ? { ...reward, column: null } : reward,
  );
  return {
    config: { ...config, rewards: read },
    rewards: () =>
      Promise.all(
        read.map(async (reward): Promise<Reward> => {
          const { name, weight, normalize } = reward;
          const score = functions.get(name);
          if (score !== undefined) return { name, weight, normalize, score };
          const [made] = await createRewards([reward]);
          return made;
        }),
      ),
  };
}
