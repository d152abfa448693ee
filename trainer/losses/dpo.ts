import { affine } from '../../engine/index.ts';
import type { DivergenceOptions } from './divergence.ts';
import { reverseKl, scoreMargin } from './divergence.ts';
import type { SmoothingOptions } from './logistic.ts';
import { logistic } from './logistic.ts';
import type { BetaOptions, PairLoss } from './pairs.ts';
import { pairLoss } from './pairs.ts';

export interface DpoOptions extends BetaOptions, DivergenceOptions, SmoothingOptions {}

/**
 * Direct Preference Optimization, sigmoid (Rafailov et al., arXiv 2305.18290, Eq. 7):
 * −mean log σ(β [(log π(y_w) − log π_ref(y_w)) − (log π(y_l) − log π_ref(y_l))]).
 *
 * With `labelSmoothing` ε it is conservative DPO (Mitchell's note, https://ericmitchell.ai/cdpo.pdf):
 * −(1 − ε) log σ(βΔ) − ε log σ(−βΔ). TRL 1.16 reads ε in other losses alone.
 */
export function dpo({ beta = 0.1, labelSmoothing = 0, divergence = reverseKl }: DpoOptions = {}): PairLoss {
  return pairLoss({
    name: 'dpo',
    beta,
    perPair: (pairs) => logistic(affine(scoreMargin(pairs, divergence), beta), labelSmoothing),
  });
}
