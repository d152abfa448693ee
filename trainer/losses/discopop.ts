import { add, affine, exp, logSigmoid, mul, neg, sigmoid } from '../../engine/index.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, scoreMargin } from './divergence.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface DiscopopOptions extends BetaOptions, DivergenceOptions {
  /** τ, the temperature of the blend. Default 0.05. */
  readonly tau?: number;
}

/**
 * DiscoPOP's log-ratio modulated loss, which a language model wrote (Lu et al., arXiv 2406.08414, Eq. 5):
 * (1 − m) · −log σ(βΔ) + m · e^(−βΔ) with m = σ(βΔ / τ).
 */
export function discopop({ beta = 0.1, tau = 0.05, divergence = reverseKl }: DiscopopOptions = {}): PairLoss {
  return pairLoss({
    name: 'discopop',
    beta,
    perPair(pairs) {
      const x = affine(scoreMargin(pairs, divergence), beta);
      const modulation = sigmoid(affine(x, 1 / tau));
      return add(mul(neg(logSigmoid(x)), affine(modulation, -1, 1)), mul(exp(neg(x)), modulation));
    },
  });
}
