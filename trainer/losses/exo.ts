import { add, affine, logSigmoid, mul, neg, sigmoid } from '../../engine/index.ts';
import { PrefgradError } from '../../engine/errors.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, scoreMargin } from './divergence.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface ExoOptions extends BetaOptions, DivergenceOptions {
  /** ε, above 0: without it the target puts no mass on the rejected completion. The paper's value and default: 1e-3. */
  readonly labelSmoothing?: number;
}

/**
 * Efficient Exact Optimization on pairs (Ji et al., arXiv 2402.00856, Eq. 16): KL(p ‖ q) from the policy's preference
 * p = [σ(βΔ), σ(−βΔ)] to the smoothed label q = [1 − ε, ε].
 */
export function exo({
  beta = 0.1,
  labelSmoothing: epsilon = 1e-3,
  divergence = reverseKl,
}: ExoOptions = {}): PairLoss {
  if (!(epsilon > 0 && epsilon < 1))
    throw new PrefgradError(
      `exo: labelSmoothing must lie between 0 and 1, got ${epsilon}; the paper takes 1e-3`,
    );
  return pairLoss({
    name: 'exo_pair',
    beta,
    perPair(pairs) {
      const x = affine(scoreMargin(pairs, divergence), beta);
      /** σ(±βΔ) · (log σ(±βΔ) − log q) */
      const term = (y: typeof x, logTarget: number) => mul(sigmoid(y), affine(logSigmoid(y), 1, -logTarget));
      return add(term(x, Math.log1p(-epsilon)), term(neg(x), Math.log(epsilon)));
    },
  });
}
