import { add, affine, logSigmoid, neg } from '../../engine/index.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, scoreMargin } from './divergence.ts';
import type { SmoothingOptions } from './logistic.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface RobustOptions extends BetaOptions, DivergenceOptions, SmoothingOptions {}

/**
 * Robust DPO (Ray Chowdhury et al., arXiv 2403.00409): [−(1 − ε) log σ(βΔ) + ε log σ(−βΔ)] / (1 − 2ε), an
 * unbiased estimate of DPO's loss where a share ε (`labelSmoothing`) of the preferences is the wrong way round.
 */
export function robust({
  beta = 0.1,
  labelSmoothing: epsilon = 0,
  divergence = reverseKl,
}: RobustOptions = {}): PairLoss {
  const scale = 1 / (1 - 2 * epsilon);
  return pairLoss({
    name: 'robust',
    beta,
    perPair(pairs) {
      const x = affine(scoreMargin(pairs, divergence), beta);
      const right = affine(logSigmoid(x), (epsilon - 1) * scale);
      return epsilon === 0 ? right : add(right, affine(logSigmoid(neg(x)), epsilon * scale));
    },
  });
}
