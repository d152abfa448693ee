import type { Tensor } from '../../engine/index.ts';
import { add, affine, logSigmoid, neg } from '../../engine/index.ts';

export interface SmoothingOptions {
  /** ε, the probability that a preference is the wrong way round, below 0.5. Default 0. */
  readonly labelSmoothing?: number;
}

/** −(1 − ε) log σ(x) − ε log σ(−x): the cross-entropy of a preference that is right with probability 1 − ε. */
export function logistic(x: Tensor, epsilon = 0): Tensor {
  const right = logSigmoid(x);
  return epsilon === 0 ? neg(right) : add(affine(right, epsilon - 1), affine(logSigmoid(neg(x)), -epsilon));
}
