/** The configuration of a run: DESIGN.md's contract, checked, with TRL's names and defaults. */
export { parseConfig, parseSettings, type ParseOptions } from './config/parse.ts';
export { knownKeys } from './config/keys.ts';
export { optimizerSteps, warmupStepCount } from './config/steps.ts';
export type {
  DataPart,
  HpoSettings,
  LoraSettings,
  Method,
  SamplingSettings,
  TrainConfig,
  TrainSettings,
} from './config/types.ts';
export type { RewardConfig } from './rewards/reward.ts';
