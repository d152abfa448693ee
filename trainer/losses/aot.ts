import { affine, sub } from '../../engine/index.ts';
import type { SmoothingOptions } from './logistic.ts';
import { logistic } from './logistic.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';
import { sortInputTypes, sortInputs, sorted } from './sort.ts';

export interface AotOptions extends BetaOptions, SmoothingOptions {}

/**
 * Alignment via Optimal Transport, paired (Melnyk et al., arXiv 2406.05882): DPO's logistic loss on the
 * i-th smallest log π(y_w) − log π(y_l) of the batch less the i-th smallest of the reference's.
 */
export function aot({ beta = 0.1, labelSmoothing = 0 }: AotOptions = {}): PairLoss {
  return pairLoss({
    name: 'aot',
    beta,
    separate: false,
    inputTypes: sortInputTypes,
    inputs: sortInputs,
    perPair({ chosen, rejected }, batch) {
      const ratios = sorted(sub(chosen.logps, rejected.logps), batch);
      const reference = sorted(sub(chosen.referenceLogps, rejected.referenceLogps), batch);
      return logistic(affine(sub(ratios, reference), beta), labelSmoothing);
    },
  });
}
