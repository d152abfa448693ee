import { affine, square } from '../../engine/index.ts';
import { tokenMeanMargin, reverseKl } from './divergence.ts';
import type { DivergenceOptions } from './divergence.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface IpoOptions extends BetaOptions, DivergenceOptions {}

/**
 * Identity Preference Optimization (Azar et al., arXiv 2310.12036, Eq. 17): (Δ − 1 / (2β))², β being the paper's τ
 * and Δ the margin of log-ratios per token, which the paper's authors used and TRL computes. β must be above 0.
 */
export function ipo({ beta = 0.1, divergence = reverseKl }: IpoOptions = {}): PairLoss {
  return pairLoss({
    name: 'ipo',
    beta,
    perPair: (pairs) => square(affine(tokenMeanMargin(pairs, divergence), 1, -1 / (2 * beta))),
  });
}
