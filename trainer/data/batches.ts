import { PrefgradError } from '../../engine/errors.ts';
import { Random } from './random.ts';

/** A place in the run's data: `index` rows of epoch `epoch` (from 0) are behind. */
export interface BatchPosition {
  readonly epoch: number;
  readonly index: number;
}

export interface BatchOptions {
  batchSize: number;
  /** `random`: another order each epoch, decided by seed and epoch alone. */
  strategy: 'random' | 'sequential';
  seed: number;
  /** Whole passes over the rows; without it the batches never end, and the caller stops by steps. */
  epochs?: number;
  /** Where a resumed run goes on. */
  start?: BatchPosition;
}

export interface Batch<R> {
  readonly rows: R[];
  /** Their places among all rows. */
  readonly indices: number[];
  readonly epoch: number;
  /** Whether the epoch ends with it. */
  readonly last: boolean;
  /** The position to store in a checkpoint when this batch is done. */
  readonly next: BatchPosition;
}

/**
 * The batches of a run in order. An epoch's last batch holds what is left, as Transformers' loader has it.
 * Throws a PrefgradError for no rows, and for a start outside them.
 */
export function* batches<R>(
  rows: readonly R[],
  { batchSize, strategy, seed, epochs = Infinity, start = { epoch: 0, index: 0 } }: BatchOptions,
): Generator<Batch<R>, void, undefined> {
  if (rows.length === 0) throw new PrefgradError('there are no rows to make batches of');
  if (start.index < 0 || start.index >= rows.length) {
    throw new PrefgradError(
      `the position to go on from is row ${start.index} of an epoch, but the data has ${rows.length} rows; resume with the data that the checkpoint was made with`,
    );
  }
  let index = start.index;
  for (let epoch = start.epoch; epoch < epochs; epoch++) {
    const order = strategy === 'random' ? new Random(seed, epoch).permutation(rows.length) : undefined;
    while (index < rows.length) {
      const end = Math.min(index + batchSize, rows.length);
      const indices = Array.from({ length: end - index }, (_, i) => order?.[index + i] ?? index + i);
      const last = end === rows.length;
      yield {
        rows: indices.map((i) => rows[i]),
        indices,
        epoch,
        last,
        next: last ? { epoch: epoch + 1, index: 0 } : { epoch, index: end },
      };
      index = end;
    }
    index = 0;
  }
}
