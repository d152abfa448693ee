import type { Tensor } from '../../engine/index.ts';
import { affine, div, exp, f32, fill, logSigmoid, minimum, neg, sub } from '../../engine/index.ts';
import type { Pairs } from './pairs.ts';

/**
 * f-DPO (Wang et al., arXiv 2309.16240): log π/π_ref is the score of the reverse KL divergence; another divergence
 * scores a completion by f′(π/π_ref). A function of log-ratios, in nats.
 */
export type Divergence = (logRatios: Tensor) => Tensor;

export interface DivergenceOptions {
  /** What scores a completion. Default `reverseKl`. */
  readonly divergence?: Divergence;
}

/** f′(t) = log t, DPO's own. */
export const reverseKl: Divergence = (logRatios) => logRatios;

/** f′(t) = 1 − 1/t. */
export const forwardKl: Divergence = (logRatios) => affine(exp(neg(logRatios)), -1, 1);

/** Jensen–Shannon: f′(t) = log (2t / (1 + t)). */
export const jsDivergence: Divergence = (logRatios) => affine(logSigmoid(logRatios), 1, Math.LN2);

/** Exponents beyond this are cut, as TRL does: e^80 is still a float32. */
const LARGEST_EXPONENT = 80;

/** f′(t) = (t^(α−1) − 1) / (α − 1); at α = 1 its limit, log t. */
export function alphaDivergence(alpha = 0.5): Divergence {
  const power = alpha - 1;
  if (Math.abs(power) < 1e-6) return reverseKl;
  return (logRatios) => {
    const exponent = minimum(affine(logRatios, power), fill(f32([]), LARGEST_EXPONENT));
    return affine(exp(exponent), 1 / power, -1 / power);
  };
}

/** The score of each pair's chosen completion less that of its rejected one: [pairs]. */
export const scoreMargin = ({ chosen, rejected }: Pairs, divergence: Divergence): Tensor =>
  sub(divergence(chosen.logRatios), divergence(rejected.logRatios));

/** As scoreMargin, each score divided by its completion's tokens. */
export const tokenMeanMargin = ({ chosen, rejected }: Pairs, divergence: Divergence): Tensor =>
  sub(
    div(divergence(chosen.logRatios), chosen.lengths),
    div(divergence(rejected.logRatios), rejected.lengths),
  );
