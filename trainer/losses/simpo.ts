import { affine, sub } from '../../engine/index.ts';
import type { CpoOptions } from './cpo.ts';
import { logistic } from './logistic.ts';
import type { Loss } from './loss.ts';
import { referenceFree } from './referenceFree.ts';

export interface SimpoOptions extends CpoOptions {
  /** γ, the margin that the reward of the chosen is to have, in units of β log π. Default 0.5. */
  readonly gamma?: number;
}

/**
 * Simple Preference Optimization (Meng et al., arXiv 2405.14734, Eq. 6): −mean log σ(β [log π(y_w) / |y_w| −
 * log π(y_l) / |y_l|] − γ), + α · NLL (CPO-SimPO) where α is not 0; TRL's default of α is 1. No reference.
 */
export const simpo = ({ beta = 0.1, gamma = 0.5, alpha = 1, labelSmoothing = 0 }: SimpoOptions = {}): Loss =>
  referenceFree({
    name: 'simpo',
    beta,
    tokenMean: true,
    likelihood: alpha,
    perPair: (chosen, rejected) => ({
      loss: logistic(affine(sub(chosen, rejected), beta, -gamma), labelSmoothing),
    }),
  });
