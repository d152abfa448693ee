import { PrefgradError } from '../../engine/errors.ts';
import { nearest } from '../config/nearest.ts';
import { builtinRewards, findBuiltin } from './builtins.ts';
import type { Reward, RewardConfig } from './reward.ts';

export { builtinRewards } from './builtins.ts';
export {
  computeRewards,
  scoreWith,
  type RewardResult,
  type RewardTarget,
  type ComputeOptions,
} from './compute.ts';
export { memoryCache, type RewardCache } from './cache.ts';
export { readingGrade } from './readingLevel.ts';
export type { Reward, RewardConfig, ScoreFunction } from './reward.ts';

/**
 * The rewards that a configuration names: built-in ones by name, modules from their files (outside
 * browsers). Throws a PrefgradError for an unknown name and for a module without a function.
 */
export async function createRewards(configs: readonly RewardConfig[]): Promise<Reward[]> {
  return Promise.all(configs.map(createReward));
}

async function createReward({ name, module, weight, normalize, options }: RewardConfig): Promise<Reward> {
  const settings = { name, weight, normalize };
  if (module !== null) {
    const { loadRewardModule } = await import('./module.node.ts');
    const { score, source } = await loadRewardModule(module, name);
    return { ...settings, score, identity: `module\n${source}` };
  }
  const builtin = findBuiltin(name);
  if (builtin === undefined) {
    const known = builtinRewards.map((reward) => reward.name);
    throw new PrefgradError(`reward ${name}: is no built-in reward; did you mean ${nearest(name, known)}?`);
  }
  return {
    ...settings,
    score: builtin.create(options),
    identity: `${builtin.name} ${builtin.version} ${JSON.stringify(options)}`,
  };
}
