import type { RewardResult } from './compute.ts';

/** Weights exp(λ(R − V)) of the actor loss before training, with V at the τ-expectile of R, where a constant V settles. */
export interface ActorWeights {
  readonly baseline: number;
  readonly largest: number;
  /** (Σw)² / Σw²: as many completions of equal weight would say as much. */
  readonly effective: number;
  /** Share of the weights that `weight_clip` bounds. */
  readonly clipped: number;
}

/** What λ, τ and the clip make of rewards; `total` is R of every completion. */
export function actorWeights(
  total: RewardResult['total'],
  {
    lambda,
    tau,
    weightClip,
  }: { readonly lambda: number; readonly tau: number; readonly weightClip: number | null },
): ActorWeights {
  const values = [...total].filter((value) => !Number.isNaN(value));
  const baseline = expectile(values, tau);
  const free = values.map((value) => Math.exp(lambda * (value - baseline)));
  const weights = free.map((weight) => Math.min(weight, weightClip ?? Infinity));
  const sum = weights.reduce((whole, weight) => whole + weight, 0);
  return {
    baseline,
    largest: weights.reduce((most, weight) => Math.max(most, weight), 0),
    effective: sum ** 2 / weights.reduce((whole, weight) => whole + weight ** 2, 0),
    clipped:
      free.filter((weight) => weightClip !== null && weight >= weightClip).length / Math.max(free.length, 1),
  };
}

/** The v that minimises Σ |τ − 1(x < v)| (x − v)²: the fixed point of a weighted mean. */
export function expectile(values: readonly number[], tau: number): number {
  let v = values.reduce((sum, value) => sum + value, 0) / values.length;
  for (let i = 0; i < 100; i++) {
    let [sum, weight] = [0, 0];
    for (const value of values) {
      const w = value < v ? 1 - tau : tau;
      sum += w * value;
      weight += w;
    }
    const next = sum / weight;
    if (Math.abs(next - v) <= 1e-12 * Math.max(1, Math.abs(v))) return next;
    v = next;
  }
  return v;
}
