import type { TrainSettings } from './config/types.ts';
import type { TokenizedCompletion } from './data/tokenized.ts';
import { dpo } from './losses/dpo.ts';
import type { Rewarded } from './losses/hpo.ts';
import { hpo } from './losses/hpo.ts';
import { kto } from './losses/kto.ts';
import type { Loss } from './losses/loss.ts';
import { sft } from './losses/sft.ts';
import type { ValueHead } from './valueHead.ts';

/** HPO's parts that are no settings: its value head, and the rewards of the training completions. */
export interface HpoParts {
  readonly valueHead: ValueHead;
  readonly rewardOf: (completion: TokenizedCompletion) => Rewarded;
}

/** The loss that a configuration names. A new loss is a file in losses/ and a line here. */
export function makeLoss(settings: TrainSettings, parts?: HpoParts): Loss {
  const { method, beta, desirableWeight, undesirableWeight, seed } = settings;
  const preference = {
    dpo: () => dpo({ beta }),
    kto: () => kto({ beta, desirableWeight, undesirableWeight }),
  };
  if (method === 'sft') return sft({ completionOnly: settings.completionOnlyLoss });
  if (method !== 'hpo') return preference[method]();
  if (parts === undefined) throw new Error('hpo needs a value head and rewards');
  return hpo({ ...settings.hpo, ...parts, base: preference[settings.hpo.base](), seed });
}
