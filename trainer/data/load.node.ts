import { PrefgradError } from '../../engine/errors.ts';
import type { ModelLimits } from '../../models/limits.ts';
import type { TrainSettings } from '../config.ts';
import { asCompletions, asPairs, asUnpaired } from './convert.ts';
import type { TextTokenizer } from './encode.ts';
import { checkRows, lengthOf } from './modelLimits.ts';
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

/** A data file as it was read, before any model is there. */
export interface ReadFile {
  readonly path: string;
  readonly read: Rows;
}

/** Reads a data file. Errors: it is not there, or a line is no JSON; the file and line are named. */
export const readFileRows = async (path: string): Promise<ReadFile> => ({ path, read: await readRows(path) });

/**
 * Tokenises a file's rows for a method: KTO takes pairs as two judged rows each; KTO's losses get a KL completion
 * per row, in chunks of the batch size. Rows are cut at max_length or at the model's context, whichever is less.
 * Errors: no row that can be used; a token that the model does not know.
 */
export function loadRows(
  { path, read }: ReadFile,
  tokenizer: TextTokenizer,
  model: ModelLimits,
  settings: DataSettings,
  purpose: 'train' | 'evaluate',
): LoadedRows {
  const { method, hpo, maxLength, truncation, addBos, perDeviceTrainBatchSize } = settings;
  const onKto = method === 'kto' || (method === 'hpo' && hpo.base === 'kto');
  const given = convert(read, settings, purpose);
  const tokenized = tokenizeRows(given.rows, tokenizer, {
    maxLength: Math.min(maxLength ?? Infinity, model.contextLength),
    truncation,
    addBos,
    // Held-out rows are one chunk, so that no rest of a batch is left without a partner.
    ...(onKto ? { klBatchSize: purpose === 'train' ? perDeviceTrainBatchSize : given.rows.length } : {}),
  });
  return loaded(path, given, tokenized, model, maxLength);
}

/** Tokenises a file's rows as they are, to score their completions; rows are cut as `loadRows` cuts them. */
export function loadRowsForScoring(
  { path, read }: ReadFile,
  tokenizer: TextTokenizer,
  model: ModelLimits,
  { maxLength, addBos }: { readonly maxLength: number | null; readonly addBos: boolean },
): LoadedRows {
  const within = Math.min(maxLength ?? Infinity, model.contextLength);
  return loaded(
    path,
    read,
    tokenizeRows(read.rows, tokenizer, { maxLength: within, addBos }),
    model,
    maxLength,
  );
}

function loaded(
  path: string,
  read: Rows,
  tokenized: Rows<TokenizedRow>,
  model: ModelLimits,
  maxLength: number | null,
): LoadedRows {
  const leftOut = [...read.leftOut, ...tokenized.leftOut];
  const remarks = [...read.remarks, ...tokenized.remarks];
  if (tokenized.rows.length === 0)
    throw new PrefgradError(
      `${path}: no row can be used${leftOut.length > 0 ? `; ${describeNotes('left out', leftOut)}` : ''}`,
    );
  checkRows(tokenized.rows, model);
  const warnings = [
    describeNotes('left out', leftOut),
    describeNotes('used, but look at them', remarks),
    contextWarning(path, tokenized.rows, model, maxLength),
  ];
  return { rows: tokenized.rows, leftOut, warnings: warnings.filter((text) => text !== '') };
}

/** Where the model's context, not max_length, was what rows were cut at. */
function contextWarning(
  path: string,
  rows: readonly TokenizedRow[],
  { contextLength }: ModelLimits,
  maxLength: number | null,
): string {
  if (maxLength !== null && maxLength <= contextLength) return '';
  const full = rows.filter((row) => lengthOf(row) === contextLength).length;
  const given = maxLength === null ? '' : `max_length is ${maxLength}, but `;
  return full === 0
    ? ''
    : `${path}: ${given}the model's context is ${contextLength} tokens; ${full === 1 ? '1 row was' : `${full} rows were`} cut there`;
}

/** Rows as the method trains on them. Held-out pairs of SFT stay pairs, so that preference accuracy can be told. */
function convert(read: Rows, { method, hpo }: DataSettings, purpose: 'train' | 'evaluate'): Rows {
  if (method === 'sft') return purpose === 'train' ? asCompletions(read) : read;
  if (method === 'kto') return asUnpaired(read);
  return method === 'hpo' && hpo.base === 'kto' ? read : asPairs(read);
}
