import { affine, sub } from '../../engine/index.ts';
import type { AotOptions } from './aot.ts';
import { logistic } from './logistic.ts';
import type { PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';
import { sortInputTypes, sortInputs, sorted } from './sort.ts';

/**
 * Alignment via Optimal Transport, unpaired (Melnyk et al., arXiv 2406.05882): DPO's logistic loss on the
 * i-th smallest log-ratio of the batch's chosen completions less the i-th smallest of its rejected ones.
 */
export function aotUnpaired({ beta = 0.1, labelSmoothing = 0 }: AotOptions = {}): PairLoss {
  return pairLoss({
    name: 'aot_unpaired',
    beta,
    separate: false,
    inputTypes: sortInputTypes,
    inputs: sortInputs,
    perPair({ chosen, rejected }, batch) {
      const [win, lose] = [sorted(chosen.logRatios, batch), sorted(rejected.logRatios, batch)];
      return logistic(affine(sub(win, lose), beta), labelSmoothing);
    },
  });
}
