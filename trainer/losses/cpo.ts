import { affine, sub } from '../../engine/index.ts';
import type { SmoothingOptions } from './logistic.ts';
import { logistic } from './logistic.ts';
import type { Loss } from './loss.ts';
import type { BetaOptions } from './pairs.ts';
import { referenceFree } from './referenceFree.ts';

export interface CpoOptions extends BetaOptions, SmoothingOptions {
  /** α, the weight of the likelihood of the chosen completions. Default 1. */
  readonly alpha?: number;
}

/**
 * Contrastive Preference Optimization (Xu et al., arXiv 2401.08417): −mean log σ(β [log π(y_w) − log π(y_l)])
 * + α · NLL, with NLL the mean of −log p over all chosen tokens. No reference.
 */
export const cpo = ({ beta = 0.1, alpha = 1, labelSmoothing = 0 }: CpoOptions = {}): Loss =>
  referenceFree({
    name: 'cpo',
    beta,
    tokenMean: false,
    likelihood: alpha,
    perPair: (chosen, rejected) => ({
      loss: logistic(affine(sub(chosen, rejected), beta), labelSmoothing),
    }),
  });
