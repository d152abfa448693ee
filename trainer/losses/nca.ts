import { add, affine, logSigmoid, neg } from '../../engine/index.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Noise Contrastive Alignment on pairs (Chen et al., arXiv 2402.05369):
 * −log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l) with r = β log π/π_ref. It keeps the chosen likelihood from falling.
 */
export function nca({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  return pairLoss({
    name: 'nca_pair',
    beta,
    perPair({ chosen, rejected }) {
      const [win, lose] = [affine(chosen.logRatios, beta), affine(rejected.logRatios, beta)];
      const noise = add(logSigmoid(neg(win)), logSigmoid(neg(lose)));
      return neg(add(logSigmoid(win), affine(noise, 0.5)));
    },
  });
}
