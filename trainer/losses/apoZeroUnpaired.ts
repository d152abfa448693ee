import type { Loss } from './loss.ts';
import type { UnpairedOptions } from './unpaired.ts';
import { unpairedLoss } from './unpaired.ts';

/**
 * Anchored Preference Optimization, zero, on judged completions (D'Oosterlinck et al., arXiv 2408.06266, Eq. 7 taken
 * apart): mean of λ_D (1 − σ(βa)) over desirable ones and λ_U σ(βa) over undesirable ones, a = log π/π_ref. It needs
 * no KL completions.
 */
export const apoZeroUnpaired = (options: UnpairedOptions = {}): Loss =>
  unpairedLoss({ name: 'apo_zero_unpaired', kl: false }, options);
