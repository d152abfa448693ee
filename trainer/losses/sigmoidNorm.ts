import { affine } from '../../engine/index.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, tokenMeanMargin } from './divergence.ts';
import { logistic } from './logistic.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface SigmoidNormOptions extends BetaOptions, DivergenceOptions {}

/**
 * Length-normalised DPO (Lambert et al., Tülu 3, arXiv 2411.15124): −log σ(β [s(y_w) / |y_w| − s(y_l) / |y_l|])
 * with s the log-ratio and |y| the completion's tokens.
 */
export function sigmoidNorm({ beta = 0.1, divergence = reverseKl }: SigmoidNormOptions = {}): PairLoss {
  return pairLoss({
    name: 'sigmoid_norm',
    beta,
    perPair: (pairs) => logistic(affine(tokenMeanMargin(pairs, divergence), beta)),
  });
}
