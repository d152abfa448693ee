import { add, zeros } from '../../engine/index.ts';
import { chosenNll, likelihoodInputTypes, likelihoodInputs } from './likelihood.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

/**
 * Supervised fine-tuning on the chosen side, to be a term beside a preference loss (RPO's regulariser: Pang et al.,
 * arXiv 2404.19733; Liu et al., arXiv 2405.16436): −mean log p over the chosen tokens of the whole batch.
 * `beta` scales the rewards in the metrics alone.
 */
export function chosenSft({ beta = 0.1 }: BetaOptions = {}): PairLoss {
  return pairLoss({
    name: 'sft',
    beta,
    separate: false,
    inputTypes: likelihoodInputTypes,
    inputs: (batch) => likelihoodInputs(batch),
    perPair: ({ chosen }, batch) => add(zeros(chosen.logps.type), chosenNll(batch)),
  });
}
