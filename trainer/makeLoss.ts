import type { TrainSettings } from './config/types.ts';
import type { TokenizedCompletion } from './data/tokenized.ts';
import type { Rewarded } from './losses/hpo.ts';
import { hpo } from './losses/hpo.ts';
import type { Loss } from './losses/loss.ts';
import { preferenceLoss } from './losses/registry.ts';
import { sft } from './losses/sft.ts';
import type { ValueHead } from './valueHead.ts';

/** HPO's parts that are no settings: its value head, and the rewards of the training completions. */
export interface HpoParts {
  readonly valueHead: ValueHead;
  readonly rewardOf: (completion: TokenizedCompletion) => Rewarded;
}

/** The loss that a configuration names. */
export function makeLoss(settings: TrainSettings, parts?: HpoParts): Loss {
  const { method, seed } = settings;
  if (method === 'sft') return sft({ completionOnly: settings.completionOnlyLoss });
  const base = preferenceLoss(settings);
  if (method !== 'hpo') return base;
  if (parts === undefined) throw new Error('hpo needs a value head and rewards');
  return hpo({ ...settings.hpo, ...parts, base, seed });
}
