import type { TrainSettings } from '../config.ts';
import { actorWeights } from './actorWeights.ts';

export type PullSettings = Pick<TrainSettings, 'beta' | 'lossType' | 'labelSmoothing'> & {
  readonly hpo: Pick<TrainSettings['hpo'], 'gamma' | 'lambda' | 'tau' | 'weightClip' | 'actorReduction'>;
};

/**
 * How hard the actor loss pulls at a completion's token beside the preference loss, before the first step: the ratio of
 * what ∇log π(token) is multiplied by, as a mean over completions of `total` (R) and `tokens`. DPO sums over tokens
 * where L_actor takes a mean, so that the longer the completions, the weaker a given γ:
 *
 * - sigmoid: β σ(0) = β/2 a pair, against γ w / 2|y|, since a pair has two completions: γ w / (β |y|).
 * - kto: β σ′(0) = β/4 a completion, against γ w / |y|: 4 γ w / (β |y|).
 *
 * With w = exp(λ(R − V)), V at the τ-expectile of R (`actorWeights`), and no |y| where `actorReduction` is `sum`.
 * Undefined for other losses.
 */
export function actorPull(
  total: ArrayLike<number>,
  tokens: readonly number[],
  { beta, lossType, labelSmoothing, hpo }: PullSettings,
): number | undefined {
  const [name] = lossType;
  const slope = { sigmoid: (1 - 2 * labelSmoothing) / 2, kto: 1 / 4 }[name];
  if (lossType.length > 1 || slope === undefined || beta === 0) return undefined;
  const { gamma, lambda, weightClip, actorReduction } = hpo;
  const { baseline } = actorWeights(Float64Array.from(total), hpo);
  const share = name === 'kto' ? 1 : 1 / 2;
  let [sum, count] = [0, 0];
  for (const [i, length] of tokens.entries()) {
    const weight = Math.min(Math.exp(lambda * (total[i] - baseline)), weightClip ?? Infinity);
    if (Number.isNaN(weight)) continue;
    sum += weight / (actorReduction === 'sum' ? 1 : length);
    count++;
  }
  return count === 0 ? undefined : (gamma * share * sum) / count / (beta * slope);
}
