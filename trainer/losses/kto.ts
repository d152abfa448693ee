import type { Loss } from './loss.ts';
import type { UnpairedOptions } from './unpaired.ts';
import { unpairedLoss } from './unpaired.ts';

export type KtoOptions = UnpairedOptions;

/**
 * Kahneman-Tversky Optimization (Ethayarajh et al., arXiv 2402.01306, Eq. 8) as TRL computes it: mean of
 * λ (1 − σ(±β (log-ratio − z))), with z the batch's mean log-ratio of mismatched completions, at least 0, a constant.
 */
export const kto = (options: KtoOptions = {}): Loss => unpairedLoss({ name: 'kto', kl: true }, options);
