import { affine, relu } from '../../engine/index.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, scoreMargin } from './divergence.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface HingeOptions extends BetaOptions, DivergenceOptions {}

/** SLiC's hinge loss on DPO's margin (Zhao et al., arXiv 2305.10425; Liu et al., arXiv 2309.06657): max(0, 1 − βΔ). */
export function hinge({ beta = 0.1, divergence = reverseKl }: HingeOptions = {}): PairLoss {
  return pairLoss({
    name: 'hinge',
    beta,
    perPair: (pairs) => relu(affine(scoreMargin(pairs, divergence), -beta, 1)),
  });
}
