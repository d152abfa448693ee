import { PrefgradError } from '../../engine/errors.ts';
import { nearest } from '../config/nearest.ts';
import { builtinRewards, findBuiltin } from './builtins.ts';
import { endpoint } from './endpoint.ts';
import type { Reward, RewardConfig } from './reward.ts';

export { builtinRewards } from './builtins.ts';
export {
  computeRewards,
  scoreWith,
  type ComputeOptions,
  type Failure,
  type Normalization,
  type RewardResult,
} from './compute.ts';
export { memoryCache, type RewardCache } from './cache.ts';
export { inspect, type Inspection, type RewardWarning } from './inspect.ts';
export { describeReward, type RewardSummary } from './summary.ts';
export { targetsOf } from './targets.ts';
export { Readability } from './readability.ts';
export {
  scoresTexts,
  type BatchReward,
  type ColumnReward,
  type FunctionReward,
  type Reward,
  type RewardConfig,
  type RewardTarget,
  type RewardTexts,
  type ScoreFunction,
  type TextReward,
} from './reward.ts';

/**
 * The rewards that a configuration names: built-in ones by name, modules from their files (outside
 * browsers), endpoints, columns of the data. Throws a PrefgradError for an unknown name and for a module without a
 * function.
 */
export async function createRewards(configs: readonly RewardConfig[]): Promise<Reward[]> {
  return Promise.all(configs.map(createReward));
}

async function createReward(config: RewardConfig): Promise<Reward> {
  const { name, module, url, column, weight, normalize, cache, options } = config;
  const settings = { name, weight, normalize };
  const kept = (identity: string) => (cache ? { identity } : {});
  if (column !== null) return { ...settings, column };
  if (url !== null) {
    const { score, identity, ...batches } = endpoint(name, url, options);
    return { ...settings, ...batches, ...kept(identity), scoreBatch: score };
  }
  if (module !== null) {
    const { loadRewardModule } = await import('./module.node.ts');
    const { score, source } = await loadRewardModule(module, name);
    return { ...settings, score, ...kept(`module\n${source}`) };
  }
  const builtin = findBuiltin(name);
  if (builtin === undefined) {
    const known = builtinRewards.map((reward) => reward.name);
    throw new PrefgradError(`reward ${name}: is no built-in reward; did you mean ${nearest(name, known)}?`);
  }
  return {
    ...settings,
    score: await builtin.create(options),
    ...kept(`${builtin.name} ${builtin.version} ${JSON.stringify(options)}`),
  };
}
