import { PrefgradError } from '../../engine/errors.ts';
import type { HpoSettings, LoraSettings, SamplingSettings, TrainConfig, TrainSettings } from '../config.ts';
import { parseConfig } from '../config.ts';
import { isObject } from '../config/keys.ts';
import { toCamel } from '../config/spelling.ts';
import type { pairLosses, referenceFreeLosses, unpairedLosses } from '../losses/registry.ts';
import { createRewards } from '../rewards/index.ts';
import type { Reward, RewardConfig, ScoreFunction } from '../rewards/reward.ts';

/** TRL's names of losses. */
export type LossName =
  keyof typeof pairLosses | keyof typeof referenceFreeLosses | keyof typeof unpairedLosses | 'nll';

/** Settings of runs from files; a program gives all others as the command line's configuration does. */
const ofFiles = [
  ...['model', 'data', 'evalData', 'outputDir', 'saveStrategy', 'saveSteps', 'saveTotalLimit'],
  ...['loadBestModelAtEnd', 'reportTo', 'overwriteOutputDir', 'resumeFromCheckpoint'],
] as const satisfies readonly (keyof TrainConfig)[];

/** Settings that have a form of their own here. */
type Shaped = 'method' | 'lossType' | 'hpo' | 'sampling' | 'lora' | 'rewards';

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
export interface TrainerSettings extends Partial<Omit<TrainConfig, (typeof ofFiles)[number] | Shaped>> {
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
  for (const key of Object.keys(given).map(toCamel))
    if ((ofFiles as readonly string[]).includes(key))
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
