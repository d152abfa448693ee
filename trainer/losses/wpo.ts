import { PrefgradError } from '../../engine/errors.ts';
import type { Tensor } from '../../engine/index.ts';
import { detach, div, exp, gatherRows, log, mul, reshape, split, sub } from '../../engine/index.ts';
import { STATISTICS } from '../../engine/ops/tokenLogProbs.ts';
import { sumByCompletion } from '../pack.ts';
import type { LossBatch } from './loss.ts';
import type { PairLoss } from './pairs.ts';
import { meanOverPairs } from './pairs.ts';

/**
 * Weighted Preference Optimization (Zhou et al., arXiv 2406.11827, Eq. 2) over a pairwise loss: each pair's number times
 * w(x, y_w) w(x, y_l), constants, with w the exponential of the mean over y's tokens of log p(y_t) − log Σ_v p(v)²:
 * how likely the policy would write y itself. Errors: a loss whose numbers belong to no pair alone.
 */
export function wpo(base: PairLoss): PairLoss {
  if (!base.separate)
    throw new PrefgradError(
      `wpo: ${base.name} has no loss of each pair by itself, so pairs cannot be weighted`,
    );
  return meanOverPairs({
    ...base,
    name: `weighted ${base.name}`,
    usesStatistics: true,
    perPair(batch) {
      const weights = weightsOf(batch);
      const of = (side: 'chosen' | 'rejected') => gatherRows(weights, batch.inputs[side]);
      return mul(base.perPair(batch), mul(of('chosen'), of('rejected')));
    },
  });
}

/** w(x, y) of each completion: [completions]. */
function weightsOf({ tokenLogps, statistics, owners, lengths }: LossBatch): Tensor {
  if (statistics === undefined) throw new Error('wpo: the batch has no statistics');
  const [sumSquares] = split(
    statistics,
    STATISTICS.map(() => 1),
  );
  const likely = sub(detach(tokenLogps), log(reshape(detach(sumSquares), tokenLogps.shape)));
  return exp(div(sumByCompletion(likely, { owners, lengths }), lengths));
}
