import { z } from 'zod';
import { builtinRewards, findBuiltin } from '../rewards/builtins.ts';
import type { RewardConfig } from '../rewards/reward.ts';
import { rewardDefaults } from './defaults.ts';
import { nearest } from './nearest.ts';
import { rewardShape, type GivenSettings } from './schema.ts';
import { sentences } from './sentences.ts';

type GivenReward = NonNullable<GivenSettings['rewards']>[number];

/** Completes the entries of `rewards`; what does not fit is added to `mistakes`. */
export function completeRewards(given: readonly GivenReward[], mistakes: string[]): RewardConfig[] {
  const names = new Set<string>();
  return given.map((entry, index) => {
    const { name: givenName, module = null, weight, normalize, ...rest } = entry;
    const at = `rewards[${index}]`;
    const name = givenName ?? (module === null ? '' : moduleLabel(module));
    if (name === '')
      mistakes.push(`${at}: has neither a name nor a module; name a built-in reward or give a module`);
    else if (names.has(name))
      mistakes.push(`${at}.name: ${name} is taken by an earlier reward; name it otherwise`);
    names.add(name);
    const options = module === null ? builtinOptions(name, rest, at, mistakes) : rest;
    if (module !== null) {
      for (const key of Object.keys(rest)) {
        mistakes.push(
          `${at}.${key}: is no key of a reward from a module; did you mean ${nearest(key, Object.keys(rewardShape))}?`,
        );
      }
    }
    return {
      name,
      module,
      weight: weight ?? rewardDefaults.weight,
      normalize: normalize ?? rewardDefaults.normalize,
      options,
    };
  });
}

function builtinOptions(
  name: string,
  given: Record<string, unknown>,
  at: string,
  mistakes: string[],
): Record<string, unknown> {
  if (name === '') return given;
  const builtin = findBuiltin(name);
  if (builtin === undefined) {
    const known = builtinRewards.map((reward) => reward.name);
    mistakes.push(
      `${at}.name: ${name} is no built-in reward; did you mean ${nearest(name, known)}? A reward of your own needs its module`,
    );
    return given;
  }
  const unknown = Object.keys(given).filter((key) => !Object.hasOwn(builtin.options, key));
  for (const key of unknown) {
    const known = [...Object.keys(rewardShape), ...Object.keys(builtin.options)];
    mistakes.push(`${at}.${key}: is no option of reward ${name}; did you mean ${nearest(key, known)}?`);
  }
  const parsed = z.object(builtin.options).safeParse(given);
  if (parsed.success) return parsed.data;
  mistakes.push(...sentences(parsed.error, given, builtin.options, {}, `${at}.`));
  return given;
}

/** `./rewards/short.mjs` → `short`. */
function moduleLabel(module: string): string {
  const file = module.slice(Math.max(module.lastIndexOf('/'), module.lastIndexOf('\\')) + 1);
  return file.replace(/\.[^.]*$/, '');
}
