import {
  abs,
  add,
  affine,
  detach,
  div,
  exp,
  f32,
  fill,
  gatherRows,
  greater,
  i32,
  mean,
  minimum,
  mul,
  neg,
  square,
  sub,
} from '../../engine/index.ts';
import type { Tensor } from '../../engine/index.ts';
import type { TokenizedCompletion } from '../data/tokenized.ts';
import { completionsOf } from '../data/tokenized.ts';
import { dropoutSeed } from '../dropoutSeed.ts';
import type { ValueHead } from '../valueHead.ts';
import type { HostBatch, Loss } from './loss.ts';
import { meanOf } from './loss.ts';

/** The auxiliary rewards of a completion: R = Σ w r, and each r by its reward's name. */
export interface Rewarded {
  readonly total: number;
  readonly each: Readonly<Record<string, number>>;
}

export interface HpoOptions {
  /** L_pref. */
  readonly base: Loss;
  readonly valueHead: ValueHead;
  /** R(x, y) of every training completion, computed beforehand. */
  readonly rewardOf: (completion: TokenizedCompletion) => Rewarded;
  /** γ. Default 0.5. */
  readonly gamma?: number;
  /** λ. Default 5. */
  readonly lambda?: number;
  /** τ of the expectile. Default 0.7. */
  readonly tau?: number;
  /** Upper bound of exp(λA); null for none. Default 100. */
  readonly weightClip?: number | null;
  /** c_V. Default 0.1. */
  readonly valueCoefficient?: number;
  /** L_actor is off for this many optimizer steps. Default 100. */
  readonly actorWarmupSteps?: number;
  /** Per completion: mean over its tokens, or their sum. Default tokenMean. */
  readonly actorReduction?: 'tokenMean' | 'sum';
  /** Seeds the value head's dropout. */
  readonly seed?: number;
}

/** A batch's rewarded completions: chosen and rejected of pairs, judged ones of unpaired rows; not KTO's KL ones. */
function rewarded(
  batch: HostBatch,
): { completion: TokenizedCompletion; index: number; row: number; chosen: boolean }[] {
  return batch.rows.flatMap((row, r) =>
    completionsOf(row).map((completion, i) => ({
      completion,
      index: (batch.first[r] ?? 0) + i,
      row: r,
      chosen: row.kind === 'pair' ? i === 0 : row.kind !== 'unpaired' || row.label,
    })),
  );
}

/**
 * Hybrid Preference Optimization (arXiv 2405.17956, Eqs. 8–12): L_pref + γ L_actor + c_V L_V, with
 * L_actor = −mean exp(λ A) log π(y|x) / |y|, A = R − V(x) a constant to the policy, and
 * L_V = mean |τ − 1(R − V < 0)| (R − V)² on a value head whose input is detached from the model.
 */
export function hpo(options: HpoOptions): Loss {
  const { base, valueHead, rewardOf, gamma = 0.5, lambda = 5, tau = 0.7, weightClip = 100 } = options;
  const { valueCoefficient = 0.1, actorWarmupSteps = 100, actorReduction = 'tokenMean', seed = 0 } = options;
  const sides = ['chosen', 'rejected'] as const;
  return {
    name: `hpo on ${base.name}`,
    usesReference: base.usesReference,
    usesStatistics: base.usesStatistics ?? false,
    average: base.average,
    parameters: valueHead.parameters,
    sequence: (row) => base.sequence(row),
    checkBatch: (rows) => base.checkBatch?.(rows),
    inputTypes: (capacity) => ({
      ...base.inputTypes(capacity),
      lastPromptRows: i32([capacity.sequences], 'prompts'),
      rewarded: i32([capacity.completions], 'rewarded'),
      promptOf: i32([capacity.completions], 'rewarded'),
      rewards: f32([capacity.completions], 'rewarded'),
      actor: f32([]),
      dropoutSeed: i32([1]),
    }),
    inputs(batch, step, microbatch) {
      const all = rewarded(batch);
      const lastPromptRows: number[] = [];
      let at = 0;
      for (const row of batch.rows) {
        lastPromptRows.push(at + row.promptIds.length - 1);
        const { completions } = base.sequence(row);
        at += completions.reduce((n, c) => n + c.length, row.promptIds.length);
      }
      return {
        ...base.inputs(batch, step, microbatch),
        lastPromptRows,
        rewarded: all.map((c) => c.index),
        promptOf: all.map((c) => c.row),
        rewards: all.map((c) => rewardOf(c.completion).total),
        actor: [step > actorWarmupSteps ? 1 : 0],
        dropoutSeed: [dropoutSeed(seed, step, microbatch)],
      };
    },
    build(batch) {
      const { inputs } = batch;
      const preference = base.build(batch);
      const prompts = detach(gatherRows(batch.hidden, inputs['lastPromptRows']));
      const values = gatherRows(valueHead.values(prompts, inputs['dropoutSeed']), inputs['promptOf']);
      const advantage = sub(inputs['rewards'], values);
      const exponent = affine(detach(advantage), lambda);
      const limit = weightClip === null ? undefined : fill(f32([]), Math.log(weightClip));
      const weights = exp(limit ? minimum(exponent, limit) : exponent);

      const logps = gatherRows(batch.logps, inputs['rewarded']);
      const lengths = gatherRows(batch.lengths, inputs['rewarded']);
      const actor = neg(mean(mul(weights, actorReduction === 'sum' ? logps : div(logps, lengths))));
      const below = greater(fill(f32([]), 0), advantage);
      const value = mean(mul(abs(affine(below, -1, tau)), square(advantage)));

      const loss = add(preference.loss, affine(value, valueCoefficient));
      const on: Tensor | undefined = gamma === 0 ? undefined : mul(affine(actor, gamma), inputs['actor']);
      return {
        loss: on ? add(loss, on) : loss,
        outputs: { ...preference.outputs, preference: preference.loss, actor, value, values, weights },
      };
    },
    metrics(batch, numbers) {
      const { outputs } = numbers;
      const all = rewarded(batch);
      const [values, weights] = [outputs['values'] ?? [], outputs['weights'] ?? []];
      const scores = all.map((c) => rewardOf(c.completion));
      const metrics: Record<string, number> = {
        ...base.metrics(batch, numbers),
        'loss/preference': outputs['preference']?.[0] ?? NaN,
        'loss/actor': outputs['actor']?.[0] ?? NaN,
        'loss/value': outputs['value']?.[0] ?? NaN,
        'value/mean': meanOf(all.map((_, i) => values[i] ?? 0)),
        'advantage/mean': meanOf(scores.map((s, i) => s.total - (values[i] ?? 0))),
      };
      const clipped = all.map((_, i) =>
        weightClip !== null && (weights[i] ?? 0) >= weightClip * (1 - 1e-6) ? 1 : 0,
      );
      metrics['weight/clipped'] = meanOf(clipped);
      for (const side of sides) {
        const of = all.flatMap((c, i) => (c.chosen === (side === 'chosen') ? [i] : []));
        if (of.length === 0) continue;
        metrics[`weight/${side}`] = meanOf(of.map((i) => weights[i] ?? 0));
        for (const name of Object.keys(scores[0]?.each ?? {}))
          metrics[`auxiliary/${name}/${side}`] = meanOf(of.map((i) => scores[i]?.each[name] ?? 0));
      }
      return metrics;
    },
  };
}
