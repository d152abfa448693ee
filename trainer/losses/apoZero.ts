import { add, affine, sigmoid } from '../../engine/index.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Anchored Preference Optimization, zero (D'Oosterlinck et al., arXiv 2408.06266, Eq. 7): 1 − σ(r_w) + σ(r_l) with
 * r = β log π/π_ref. For data whose chosen completions are better than what the model writes: they become likelier.
 */
export function apoZero({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  return pairLoss({
    name: 'apo_zero',
    beta,
    perPair: ({ chosen, rejected }) =>
      add(sigmoid(affine(chosen.logRatios, -beta)), sigmoid(affine(rejected.logRatios, beta))),
  });
}
