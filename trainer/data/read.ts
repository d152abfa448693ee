import type { FileSource } from '../../models/files/source.ts';
import { entriesOf } from './entries.ts';
import { noRows, RowReader } from './parse.ts';
import { noNotes, type Notes, type Row, type Rows } from './rows.ts';
import { SeenRows } from './seen.ts';

/**
 * All rows of a data file: JSON lines, JSON, CSV, TSV (also as .gz) or Parquet, on disk, in memory or a Blob in a
 * browser. Throws a PrefgradError for what is not valid, with its line, and for a file without a usable row.
 */
export async function rowsFromFile(source: FileSource): Promise<Rows> {
  const notes = noNotes();
  const rows: Row[] = [];
  for await (const some of rowsOf(source, notes)) for (const row of some) rows.push(row);
  if (rows.length === 0) throw noRows(source.name, notes);
  return { rows, ...notes };
}

interface ReadOptions {
  /** Finds what repeats rows of other files. */
  readonly seen?: SeenRows;
  readonly onBytes?: (bytes: number) => void;
  /** Further columns that rows keep. */
  readonly columns?: readonly string[];
}

/** A file's rows as they are read; memory holds a piece of it. */
export async function* rowsOf(
  source: FileSource,
  notes: Notes,
  { seen = new SeenRows(), onBytes, columns = [] }: ReadOptions = {},
): AsyncGenerator<readonly Row[], void, undefined> {
  const reader = new RowReader(source.name, notes, seen, columns);
  for await (const entries of entriesOf(source, onBytes, columns))
    yield entries.flatMap((entry) => reader.push(entry));
}
