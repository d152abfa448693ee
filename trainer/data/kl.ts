import { PrefgradError } from '../../engine/errors.ts';
import type { Remark } from './rows.ts';
import { place } from './rows.ts';
import { completionsOf, type TokenizedRow } from './tokenized.ts';

/**
 * For each row the one whose completions are its KL completions, as TRL pairs them: within chunks of the
 * batch size, in file order, the row before; for a chunk's first its last. Null where that row has the
 * same prompt, or is the row itself: such a completion is no sample of another prompt's.
 */
export function klPartners(prompts: readonly string[], batchSize: number): (number | null)[] {
  return prompts.map((prompt, index) => {
    const start = index - (index % batchSize);
    const last = Math.min(start + batchSize, prompts.length) - 1;
    const partner = index === start ? last : index - 1;
    return prompts[partner] === prompt ? null : partner;
  });
}

/** Throws a PrefgradError where a batch has no KL completion: KTO can not estimate its KL term there. */
export function requireKl(batch: readonly TokenizedRow[]): void {
  if (batch.some((row) => completionsOf(row).some(({ klIds }) => klIds !== null))) return;
  const rows = batch.map(({ origin }) => place(origin)).join(', ');
  throw new PrefgradError(
    `KTO: the batch of ${rows} has no KL completion, since its rows were paired with rows of the same prompt; order the rows so that neighbours differ in their prompts, or choose a per_device_train_batch_size that leaves no single row over`,
  );
}

/** What a user is told of rows without a KL completion. */
export function klRemarks(rows: readonly TokenizedRow[]): Remark[] {
  return rows
    .filter((row) => completionsOf(row).every(({ klIds }) => klIds === null))
    .map(({ origin }) => ({
      origin,
      reason: 'has the prompt of its KL partner, so it adds nothing to the KL term',
      about: 'KL partner',
    }));
}
