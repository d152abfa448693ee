import { PrefgradError } from '../engine/errors.ts';

/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0 takes the likeliest token. Default 0. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens. Default: all. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together have this probability (Holtzman et al., arXiv 1904.09751). Default 1. */
  readonly topP?: number | undefined;
}

/** Errors: a temperature below 0, a top-k below 1, a top-p outside (0, 1]. */
export function checkSampling({ temperature = 0, topK, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0)) throw new PrefgradError(`temperature must be 0 or more, got ${temperature}`);
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    throw new PrefgradError(`top-k must be a whole number of at least 1, got ${topK}`);
  if (!(topP > 0 && topP <= 1))
    throw new PrefgradError(`top-p must lie above 0 and not above 1, got ${topP}`);
}

/** The index of the largest logit; the first where several are. */
export function argMax(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}

/**
 * Draws a token from logits [V]; `uniform` gives a number in [0, 1). As Transformers does, the temperature divides
 * first, then top-k cuts, then top-p cuts what is left.
 */
export function sampleToken(
  logits: ArrayLike<number>,
  { temperature = 0, topK, topP = 1 }: SamplingOptions,
  uniform: () => number,
): number {
  if (temperature === 0) return argMax(logits);
  const order = candidates(logits, topK ?? logits.length);
  const max = logits[order[0] ?? 0] ?? 0;
  const weights = order.map((i) => Math.exp(((logits[i] ?? 0) - max) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = 0;
  let mass = 0;
  while (kept < weights.length && (kept === 0 || mass < topP * total)) mass += weights[kept++] ?? 0;
  let at = uniform() * mass;
  for (let i = 0; i < kept; i++) {
    at -= weights[i] ?? 0;
    if (at < 0) return order[i] ?? 0;
  }
  return order[kept - 1] ?? 0;
}

/** Indices of the `count` largest logits, largest first. */
function candidates(logits: ArrayLike<number>, count: number): number[] {
  const order = Array.from({ length: logits.length }, (_, i) => i);
  order.sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  return order.slice(0, count);
}
