import {
  affine,
  detach,
  f32,
  fill,
  gatherRows,
  i32,
  maximum,
  mean,
  mul,
  sigmoid,
  sub,
} from '../../engine/index.ts';
import { PrefgradError } from '../../engine/errors.ts';
import { requireKl } from '../data/kl.ts';
import { place } from '../data/rows.ts';
import type { TokenizedCompletion, TokenizedRow } from '../data/tokenized.ts';
import { completionsOf } from '../data/tokenized.ts';
import type { HostBatch, Loss } from './loss.ts';
import { meanOf } from './loss.ts';

export interface UnpairedOptions {
  /** β. Default 0.1. */
  readonly beta?: number;
  /** λ_D and λ_U, the weights of desirable and undesirable completions. Default 1. */
  readonly desirableWeight?: number;
  readonly undesirableWeight?: number;
}

/** A judged completion: its number in the batch. */
interface Judged {
  readonly index: number;
  readonly desirable: boolean;
}

/** Whether each of a row's completions is desirable. A pair's chosen is, its rejected is not. */
function labelsOf(row: TokenizedRow, name: string): boolean[] {
  if (row.kind === 'pair') return [true, false];
  if (row.kind === 'unpaired') return [row.label];
  throw new PrefgradError(
    `${place(row.origin)}: the loss ${name} needs a label (true or false) beside prompt and completion`,
  );
}

const klOf = (row: TokenizedRow): (readonly number[])[] =>
  completionsOf(row).flatMap(({ klIds }: TokenizedCompletion) => (klIds === null ? [] : [klIds]));

/**
 * Mean of λ (1 − σ(±β (log-ratio − z))) over judged completions, + for desirable ones. With `kl`, z is the batch's mean
 * log-ratio of mismatched completions, at least 0, a constant; else 0.
 */
export function unpairedLoss(
  { name, kl: withKl }: { readonly name: string; readonly kl: boolean },
  { beta = 0.1, desirableWeight = 1, undesirableWeight = 1 }: UnpairedOptions,
): Loss {
  const judged = ({ rows, first }: HostBatch): Judged[] =>
    rows.flatMap((row, r) =>
      labelsOf(row, name).map((desirable, i) => ({ index: (first[r] ?? 0) + i, desirable })),
    );
  const mismatched = ({ rows, first }: HostBatch): number[] =>
    rows.flatMap((row, r) => klOf(row).map((_, i) => (first[r] ?? 0) + labelsOf(row, name).length + i));
  return {
    name,
    usesReference: true,
    average: 'batches',
    sequence: (row) => ({
      promptIds: row.promptIds,
      completions: [
        ...labelsOf(row, name).map((_, i) => completionsOf(row)[i]?.ids ?? []),
        ...(withKl ? klOf(row) : []),
      ],
    }),
    ...(withKl ? { checkBatch: requireKl } : {}),
    inputTypes: ({ completions }) => ({
      judged: i32([completions], 'judged'),
      sign: f32([completions], 'judged'),
      weight: f32([completions], 'judged'),
      ...(withKl ? { mismatched: i32([completions], 'mismatched') } : {}),
    }),
    inputs(batch) {
      if (withKl) requireKl(batch.rows);
      const all = judged(batch);
      return {
        judged: all.map((j) => j.index),
        sign: all.map((j) => (j.desirable ? 1 : -1)),
        weight: all.map((j) => (j.desirable ? desirableWeight : undesirableWeight)),
        ...(withKl ? { mismatched: mismatched(batch) } : {}),
      };
    },
    build({ logps, referenceLogps, inputs }) {
      const logRatios = sub(logps, referenceLogps);
      const zero = fill(f32([]), 0);
      const kl = withKl ? detach(maximum(mean(gatherRows(logRatios, inputs['mismatched'])), zero)) : zero;
      const gain = mul(inputs['sign'], affine(sub(gatherRows(logRatios, inputs['judged']), kl), beta));
      return { loss: mean(mul(inputs['weight'], affine(sigmoid(gain), -1, 1))), outputs: { kl } };
    },
    metrics(batch, { logps, referenceLogps, outputs }) {
      const reward = (i: number) => beta * ((logps[i] ?? 0) - (referenceLogps[i] ?? 0));
      const metrics: Record<string, number> = { kl: outputs['kl']?.[0] ?? NaN };
      for (const [side, desirable] of [
        ['chosen', true],
        ['rejected', false],
      ] as const) {
        const indices = judged(batch).flatMap((j) => (j.desirable === desirable ? [j.index] : []));
        if (indices.length === 0) continue;
        metrics[`rewards/${side}`] = meanOf(indices.map(reward));
        metrics[`logps/${side}`] = meanOf(indices.map((i) => logps[i] ?? 0));
      }
      if ('rewards/chosen' in metrics && 'rewards/rejected' in metrics)
        metrics['rewards/margins'] = (metrics['rewards/chosen'] ?? 0) - (metrics['rewards/rejected'] ?? 0);
      return metrics;
    },
  };
}
