import { add, affine, square } from '../../engine/index.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Self-Play Preference Optimization with hard labels (Wu et al., arXiv 2405.00675, Eq. 4.7 with a win probability of 1
 * for the chosen and 0 for the rejected): (a_w − 1/(2β))² + (a_l + 1/(2β))² with a = log π/π_ref. β must be above 0.
 */
export function sppo({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  const target = 0.5 / beta;
  return pairLoss({
    name: 'sppo_hard',
    beta,
    perPair: ({ chosen, rejected }) =>
      add(square(affine(chosen.logRatios, 1, -target)), square(affine(rejected.logRatios, 1, target))),
  });
}
