import { PrefgradError } from '../../engine/errors.ts';
import type { InputNumbers, Tensor, TensorType } from '../../engine/index.ts';
import { gatherRows, i32, mean, sub } from '../../engine/index.ts';
import { place } from '../data/rows.ts';
import type { TokenizedRow } from '../data/tokenized.ts';
import type { StepMetrics } from '../metrics.ts';
import type { Capacity, Sequence } from '../pack.ts';
import type { HostBatch, Loss, LossBatch } from './loss.ts';
import { meanOf } from './loss.ts';

/** One side of a batch's pairs; everything is [pairs]. */
export interface Side {
  /** log π(y|x) in nats. */
  readonly logps: Tensor;
  /** log π_ref(y|x). */
  readonly referenceLogps: Tensor;
  /** log π(y|x) − log π_ref(y|x). */
  readonly logRatios: Tensor;
  /** |y|, in tokens. */
  readonly lengths: Tensor;
}

export interface Pairs {
  readonly chosen: Side;
  readonly rejected: Side;
}

/** A loss that is a mean over pairs: one that can be weighted pair by pair, and be part of a mixture. */
export interface PairLoss extends Loss {
  /** The loss of each pair: [pairs]. */
  perPair(batch: LossBatch): Tensor;
  /** Whether each number depends on its own pair alone. */
  readonly separate: boolean;
}

export interface BetaOptions {
  /** β, the strength of the pull towards the reference. Default 0.1. */
  readonly beta?: number;
}

export interface PairTerm {
  readonly name: string;
  readonly beta: number;
  /** Default true; see `PairLoss`. */
  readonly separate?: boolean;
  readonly perPair: (pairs: Pairs, batch: LossBatch) => Tensor;
  /** Inputs beside `chosen` and `rejected`. */
  readonly inputTypes?: (capacity: Capacity) => Readonly<Record<string, TensorType>>;
  readonly inputs?: (batch: HostBatch) => Readonly<Record<string, InputNumbers>>;
}

/** A loss on chosen and rejected log-probs and the reference's, from its equation: [pairs] to minimise the mean of. */
export function pairLoss(term: PairTerm): PairLoss {
  const { name, beta, separate = true, inputTypes, inputs } = term;
  return meanOverPairs({
    name,
    separate,
    usesReference: true,
    average: 'batches',
    sequence: pairSequence(name),
    inputTypes: (capacity) => ({ ...pairInputTypes(capacity), ...inputTypes?.(capacity) }),
    inputs: (batch) => ({ ...pairInputs(batch), ...inputs?.(batch) }),
    perPair: (batch) => term.perPair(pairsOf(batch), batch),
    metrics: (batch, { logps, referenceLogps }) =>
      pairMetrics(batch, logps, (i) => beta * ((logps[i] ?? 0) - (referenceLogps[i] ?? 0))),
  });
}

/** Gives a pairwise loss its `build`. */
export const meanOverPairs = (loss: Omit<PairLoss, 'build'>): PairLoss => ({
  ...loss,
  build: (batch) => ({ loss: mean(loss.perPair(batch)) }),
});

/** A pair's two completions; other rows are refused in the name of the loss. */
export const pairSequence =
  (name: string) =>
  (row: TokenizedRow): Sequence => {
    if (row.kind === 'pair')
      return { promptIds: row.promptIds, completions: [row.chosen.ids, row.rejected.ids] };
    throw new PrefgradError(
      `${place(row.origin)}: the loss ${name} needs prompt, chosen and rejected; this row is no pair`,
    );
  };

/** Where each pair's two completions are. */
export const pairInputTypes = ({ sequences }: Capacity) => ({
  chosen: i32([sequences], 'pairs'),
  rejected: i32([sequences], 'pairs'),
});

export const pairInputs = ({ first }: HostBatch) => ({
  chosen: Int32Array.from(first),
  rejected: Int32Array.from(first, (i) => i + 1),
});

export function pairsOf({ logps, referenceLogps, lengths, inputs }: LossBatch): Pairs {
  const logRatios = sub(logps, referenceLogps);
  const side = (index: Tensor): Side => ({
    logps: gatherRows(logps, index),
    referenceLogps: gatherRows(referenceLogps, index),
    logRatios: gatherRows(logRatios, index),
    lengths: gatherRows(lengths, index),
  });
  return { chosen: side(inputs['chosen']), rejected: side(inputs['rejected']) };
}

/** TRL's metrics of pairs; `reward` and `logps` are of the i-th completion of the batch. */
export function pairMetrics(
  { first }: HostBatch,
  logps: ArrayLike<number>,
  reward: (i: number) => number,
): StepMetrics {
  const margins = first.map((i) => reward(i) - reward(i + 1));
  return {
    'rewards/chosen': meanOf(first.map(reward)),
    'rewards/rejected': meanOf(first.map((i) => reward(i + 1))),
    'rewards/margins': meanOf(margins),
    'rewards/accuracies': meanOf(margins.map((m) => (m > 0 ? 1 : 0))),
    'logps/chosen': meanOf(first.map((i) => logps[i] ?? 0)),
    'logps/rejected': meanOf(first.map((i) => logps[i + 1] ?? 0)),
  };
}
