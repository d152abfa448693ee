import { add, affine, logSigmoid, neg } from '../../engine/index.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Binary Classifier Optimization on pairs (Jung et al., arXiv 2404.04656): −log σ(r_w) − log σ(−r_l) with
 * r = β log π/π_ref, without the paper's running reward shift, as TRL computes it.
 */
export function bco({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  return pairLoss({
    name: 'bco_pair',
    beta,
    perPair: ({ chosen, rejected }) =>
      neg(add(logSigmoid(affine(chosen.logRatios, beta)), logSigmoid(affine(rejected.logRatios, -beta)))),
  });
}
