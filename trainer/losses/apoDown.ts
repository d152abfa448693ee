import { add, affine, sigmoid, sub } from '../../engine/index.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Anchored Preference Optimization, down (D'Oosterlinck et al., arXiv 2408.06266, Eq. 8): σ(r_w) + 1 − σ(r_w − r_l) with
 * r = β log π/π_ref. For data whose chosen completions are worse than what the model writes: both become less likely.
 */
export function apoDown({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  return pairLoss({
    name: 'apo_down',
    beta,
    perPair({ chosen, rejected }) {
      const margin = sub(chosen.logRatios, rejected.logRatios);
      return add(sigmoid(affine(chosen.logRatios, beta)), sigmoid(affine(margin, -beta)));
    },
  });
}
