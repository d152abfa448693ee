import { PrefgradError } from '../../engine/errors.ts';
import type { FileSource } from '../../models/files/source.ts';
import type { ModelLimits } from '../../models/limits.ts';
import type { TrainSettings } from '../config.ts';
import { needsKl } from '../config/losses.ts';
import { completions, pairs, unpaired } from './convert.ts';
import type { TextTokenizer } from './encode.ts';
import { mix } from './mixture.ts';
import { checkRows, lengthOf } from './modelLimits.ts';
import { rowsOf } from './read.ts';
import type { Notes, Remark, Row } from './rows.ts';
import { describeNotes, noNotes } from './rows.ts';
import { SeenRows } from './seen.ts';
import { chain, type Stage } from './stage.ts';
import { RowTokenizer, type TokenizeOptions } from './tokenize.ts';
import type { TokenizedRow } from './tokenized.ts';

export interface LoadedRows extends Notes {
  /** Of one epoch: in a mixture the same row may come several times. */
  readonly rows: readonly TokenizedRow[];
  /** Sentences for the user: what was left out and what is odd. */
  readonly warnings: readonly string[];
}

/** A data file that can be read from its start again and again. */
export interface DataFile {
  /** What notes and errors call it. */
  readonly name: string;
  /** The caller closes what it opened. */
  open(): Promise<FileSource>;
}

/** Data as it was found and its beginning checked, before any model is there. */
export interface FoundData {
  readonly parts: readonly { readonly file: DataFile; readonly weight: number | null }[];
}

export interface LoadHooks {
  /** Percent of what is to be read, or downloaded. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Reads rows and tokenises them on the way, for a method: KTO takes pairs as two judged rows each; KTO's losses get a
 * KL completion per row, in chunks of the batch size. Rows are cut at max_length or at the model's context, whichever
 * is less. Memory holds token ids (8 bytes each), and texts where rewards or evaluations read them. Errors: no row that
 * can be used; a token that the model does not know; a file that is not valid.
 */
export function loadRows(
  data: FoundData,
  tokenizer: TextTokenizer,
  model: ModelLimits,
  settings: TrainSettings,
  purpose: 'train' | 'evaluate',
  hooks: LoadHooks = {},
): Promise<LoadedRows> {
  const { method, maxLength, truncation, addBos, perDeviceTrainBatchSize, seed } = settings;
  const options = {
    ...{ truncation, addBos, keepTexts: purpose === 'evaluate' || method === 'hpo' },
    // Held-out rows are one chunk, so that no rest of a batch is left without a partner.
    ...(needsKl(settings) ? { klBatchSize: purpose === 'train' ? perDeviceTrainBatchSize : Infinity } : {}),
  };
  return load(
    data,
    tokenizer,
    model,
    { ...options, maxLength, seed, columns: columnsOf(settings), convert: conversion(settings, purpose) },
    hooks,
  );
}

/** Tokenises rows as they are, to score their completions; rows are cut as `loadRows` cuts them. */
export function loadRowsForScoring(
  data: FoundData,
  tokenizer: TextTokenizer,
  model: ModelLimits,
  { maxLength, addBos }: { readonly maxLength: number | null; readonly addBos: boolean },
  hooks: LoadHooks = {},
): Promise<LoadedRows> {
  return load(
    data,
    tokenizer,
    model,
    { maxLength, addBos, keepTexts: false, seed: 0, columns: [], convert: undefined },
    hooks,
  );
}

type Convert = ((notes: Notes) => Stage<Row, Row>) | undefined;

async function load(
  { parts }: FoundData,
  tokenizer: TextTokenizer,
  model: ModelLimits,
  options: TokenizeOptions & {
    readonly seed: number;
    readonly columns: readonly string[];
    readonly convert: Convert;
  },
  { onProgress, signal }: LoadHooks,
): Promise<LoadedRows> {
  const { maxLength, seed, columns, convert } = options;
  const notes = noNotes();
  const rowTokenizer = new RowTokenizer(
    tokenizer,
    { ...options, maxLength: Math.min(maxLength ?? Infinity, model.contextLength) },
    notes,
  );
  const stage = convert === undefined ? rowTokenizer : chain(convert(notes), rowTokenizer);
  const byFile = new Map<string, TokenizedRow[]>(parts.map(({ file }) => [file.name, []]));
  const take = (rows: readonly TokenizedRow[]) => {
    checkRows(rows, model);
    for (const row of rows) byFile.get(row.origin.file)?.push(row);
  };
  const seen = new SeenRows();
  const percent = percentOf(onProgress);
  const sources: FileSource[] = [];
  try {
    for (const { file } of parts) sources.push(await file.open());
    const total = sources.reduce((size, source) => size + source.size, 0);
    let passed = 0;
    const onBytes = (bytes: number) => (passed += bytes);
    for (const source of sources)
      for await (const some of rowsOf(source, notes, { seen, onBytes, columns }))
        for (const row of some) {
          signal?.throwIfAborted();
          take(stage.push(row));
          percent(passed, total);
        }
  } finally {
    for (const source of sources) await source.close();
  }
  take(stage.end());

  const { leftOut, remarks } = notes;
  const all = [...byFile.values()].flat();
  const names = parts.map(({ file }) => file.name).join(', ');
  if (all.length === 0)
    throw new PrefgradError(
      `${names}: no row can be used${leftOut.length > 0 ? `; ${describeNotes('left out', leftOut)}` : ''}`,
    );
  const epoch = weighted(parts, byFile, seed);
  const warnings = [
    describeNotes('left out', leftOut),
    ...describeRemarks(remarks),
    contextWarning(names, all, model, maxLength),
    ...(epoch?.warnings ?? []),
  ];
  return { rows: epoch?.rows ?? all, ...notes, warnings: warnings.filter((text) => text !== '') };
}

/** Times that a file's rows may come in an epoch before it is said. */
const MANY_TIMES = 4;

/** An epoch of parts with weights, and what a user should know of it; undefined without weights. */
function weighted(
  parts: FoundData['parts'],
  byFile: ReadonlyMap<string, readonly TokenizedRow[]>,
  seed: number,
): { rows: TokenizedRow[]; warnings: string[] } | undefined {
  const mixed = parts.flatMap(({ file: { name }, weight }) =>
    weight === null ? [] : [{ name, rows: byFile.get(name) ?? [], weight }],
  );
  if (mixed.length === 0) return undefined;
  const { rows, counts } = mix(mixed, seed);
  const warnings = mixed.flatMap((part, i) => {
    const times = counts[i] / part.rows.length;
    return times < MANY_TIMES
      ? []
      : `${part.name}: its weight repeats its ${part.rows.length} rows ${times.toPrecision(3)} times in an epoch of ${rows.length}; they may be learnt by heart`;
  });
  return { rows, warnings };
}

/** A sentence for each subject that there are remarks about. */
function describeRemarks(remarks: readonly Remark[]): string[] {
  const subjects = [...new Set(remarks.map(({ about }) => about))];
  return subjects.map((subject) =>
    describeNotes(
      'used, but look at them',
      remarks.filter(({ about }) => about === subject),
    ),
  );
}

/** Tells each whole percent once. */
export function percentOf(onProgress: LoadHooks['onProgress']): (done: number, total: number) => void {
  let told = -1;
  return (done, total) => {
    const percent = Math.floor((100 * done) / Math.max(total, 1));
    if (percent === told) return;
    told = percent;
    onProgress?.(percent, 100);
  };
}

/** Where the model's context, not max_length, was what rows were cut at. */
function contextWarning(
  names: string,
  rows: readonly TokenizedRow[],
  { contextLength }: ModelLimits,
  maxLength: number | null,
): string {
  if (maxLength !== null && maxLength <= contextLength) return '';
  const full = rows.filter((row) => lengthOf(row) === contextLength).length;
  const given = maxLength === null ? '' : `max_length is ${maxLength}, but `;
  return full === 0
    ? ''
    : `${names}: ${given}the model's context is ${contextLength} tokens; ${full === 1 ? '1 row was' : `${full} rows were`} cut there`;
}

/** The columns that rewards take their numbers from. */
const columnsOf = ({ rewards }: TrainSettings): string[] => rewards.flatMap(({ column }) => column ?? []);

/** Rows as the method trains on them. Held-out pairs of SFT stay pairs, so that preference accuracy can be told. */
function conversion({ method, hpo }: TrainSettings, purpose: 'train' | 'evaluate'): Convert {
  if (method === 'sft') return purpose === 'train' ? completions : undefined;
  if (method === 'kto') return unpaired;
  return method === 'hpo' && hpo.base === 'kto' ? undefined : pairs;
}
