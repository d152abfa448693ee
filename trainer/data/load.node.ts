import { PrefgradError } from '../../engine/errors.ts';
import type { TrainSettings } from '../config.ts';
import { asCompletions, asPairs, asUnpaired } from './convert.ts';
import type { TextTokenizer } from './encode.ts';
import { readRows } from './read.node.ts';
import type { RowNote, Rows } from './rows.ts';
import { describeNotes } from './rows.ts';
import { tokenizeRows } from './tokenize.ts';
import type { TokenizedRow } from './tokenized.ts';

type DataSettings = Pick<
  TrainSettings,
  'method' | 'hpo' | 'maxLength' | 'truncation' | 'addBos' | 'perDeviceTrainBatchSize'
>;

export interface LoadedRows {
  readonly rows: readonly TokenizedRow[];
  readonly leftOut: readonly RowNote[];
  /** Sentences for the user: what was left out and what is odd. */
  readonly warnings: readonly string[];
}

/**
 * Reads and tokenises a file for a method: KTO takes pairs as two judged rows each; KTO's losses get a KL completion
 * per row, in chunks of the batch size. Errors: no row that can be used.
 */
export async function loadRows(
  path: string,
  tokenizer: TextTokenizer,
  settings: DataSettings,
  purpose: 'train' | 'evaluate',
): Promise<LoadedRows> {
  const { method, hpo, maxLength, truncation, addBos, perDeviceTrainBatchSize } = settings;
  const onKto = method === 'kto' || (method === 'hpo' && hpo.base === 'kto');
  const read = await readRows(path);
  const given = convert(read, settings, purpose);
  const tokenized = tokenizeRows(given.rows, tokenizer, {
    maxLength,
    truncation,
    addBos,
    ...(onKto ? { klBatchSize: perDeviceTrainBatchSize } : {}),
  });
  return loaded(path, given, tokenized);
}

/** Reads and tokenises a file as it is, to score its completions. */
export async function loadRowsForScoring(
  path: string,
  tokenizer: TextTokenizer,
  options: { readonly maxLength: number; readonly addBos: boolean },
): Promise<LoadedRows> {
  const read = await readRows(path);
  return loaded(path, read, tokenizeRows(read.rows, tokenizer, options));
}

function loaded(path: string, read: Rows, tokenized: Rows<TokenizedRow>): LoadedRows {
  const leftOut = [...read.leftOut, ...tokenized.leftOut];
  const remarks = [...read.remarks, ...tokenized.remarks];
  if (tokenized.rows.length === 0)
    throw new PrefgradError(
      `${path}: no row can be used${leftOut.length > 0 ? `; ${describeNotes('left out', leftOut)}` : ''}`,
    );
  const warnings = [describeNotes('left out', leftOut), describeNotes('used, but look at them', remarks)];
  return { rows: tokenized.rows, leftOut, warnings: warnings.filter((text) => text !== '') };
}

/** Rows as the method trains on them. Held-out pairs of SFT stay pairs, so that preference accuracy can be told. */
function convert(read: Rows, { method, hpo }: DataSettings, purpose: 'train' | 'evaluate'): Rows {
  if (method === 'sft') return purpose === 'train' ? asCompletions(read) : read;
  if (method === 'kto') return asUnpaired(read);
  return method === 'hpo' && hpo.base === 'kto' ? read : asPairs(read);
}
