import { entriesOf } from './entries.ts';
import { noRows, RowReader } from './parse.ts';
import { noNotes, type Notes, type Row, type Rows } from './rows.ts';
import { SeenRows } from './seen.ts';
import { findData, type DataFile } from './source.node.ts';

/**
 * All rows of a data file (a path or an https:// address; JSON lines, JSON, CSV, TSV or Parquet). Throws a PrefgradError
 * for a file that can not be read or is not valid, with its line, and for one without a usable row.
 */
export async function readRows(path: string): Promise<Rows> {
  const file = await findData(path);
  const notes = noNotes();
  const rows: Row[] = [];
  for await (const some of rowsOf(file, notes)) for (const row of some) rows.push(row);
  if (rows.length === 0) throw noRows(file.name, notes);
  return { rows, ...notes };
}

/** A file's rows as they are read; memory holds a piece of it. `seen` finds what repeats rows of other files. */
export async function* rowsOf(
  file: DataFile,
  notes: Notes,
  { seen = new SeenRows(), onBytes }: { seen?: SeenRows; onBytes?: (bytes: number) => void } = {},
): AsyncGenerator<readonly Row[], void, undefined> {
  const source = await file.open();
  try {
    const reader = new RowReader(file.name, notes, seen);
    for await (const entries of entriesOf(source, onBytes))
      yield entries.flatMap((entry) => reader.push(entry));
  } finally {
    await source.close();
  }
}

/** As much of a file as is read before a model is loaded, to say at once what is wrong with it. */
const CHECKED_BYTES = 2 ** 26;

/** Reads a file's beginning for its mistakes. Errors: as `readRows`. */
export async function checkData(file: DataFile): Promise<void> {
  const notes = noNotes();
  let [rows, bytes] = [0, 0];
  const onBytes = (passed: number) => (bytes += passed);
  for await (const some of rowsOf(file, notes, { onBytes })) {
    rows += some.length;
    if (bytes > CHECKED_BYTES) return;
  }
  if (rows === 0) throw noRows(file.name, notes);
}
