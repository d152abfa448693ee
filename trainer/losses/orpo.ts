import type { Tensor } from '../../engine/index.ts';
import { affine, log, logSigmoid, mean, sub, tanh } from '../../engine/index.ts';
import type { Loss } from './loss.ts';
import type { BetaOptions } from './pairs.ts';
import { referenceFree } from './referenceFree.ts';

/**
 * Odds Ratio Preference Optimization (Hong et al., arXiv 2403.07691, Eqs. 6–7): NLL − β mean log σ(log odds(y_w) −
 * log odds(y_l)), odds(y) = p / (1 − p) with p = exp(log π(y) / |y|). As in TRL, NLL is the mean of −log p over the
 * tokens of the prompts and their chosen completions; β is the paper's λ. No reference.
 */
export const orpo = ({ beta = 0.1 }: BetaOptions = {}): Loss =>
  referenceFree({
    name: 'orpo',
    beta,
    tokenMean: true,
    likelihood: 1,
    withPrompts: true,
    perPair(chosen, rejected) {
      const odds = sub(logOdds(chosen), logOdds(rejected));
      const ratio = logSigmoid(odds);
      return {
        loss: affine(ratio, -beta),
        logged: { log_odds_ratio: mean(ratio), log_odds_chosen: mean(odds) },
      };
    },
  });

/** log (p / (1 − p)) from x = log p < 0: x − log(1 − e^x) = log σ(x) − log tanh(−x/2), exact to p near 0 and near 1. */
const logOdds = (x: Tensor): Tensor => sub(logSigmoid(x), log(tanh(affine(x, -0.5))));
