import { noRows } from './parse.ts';
import { rowsFromFile, rowsOf } from './read.ts';
import { noNotes, type Rows } from './rows.ts';
import type { DataFile } from './load.ts';
import { findData } from './source.node.ts';

/** All rows of a data file by its path or https:// address. Errors: as `findData` and `rowsFromFile`. */
export async function readRows(path: string): Promise<Rows> {
  const source = await (await findData(path)).open();
  return rowsFromFile(source).finally(() => source.close());
}

/** As much of a file as is read before a model is loaded, to say at once what is wrong with it. */
const CHECKED_BYTES = 2 ** 26;

/** Reads a file's beginning for its mistakes. Errors: as `rowsFromFile`. */
export async function checkData(file: DataFile): Promise<void> {
  const source = await file.open();
  try {
    const notes = noNotes();
    let [rows, bytes] = [0, 0];
    const onBytes = (passed: number) => (bytes += passed);
    for await (const some of rowsOf(source, notes, { onBytes })) {
      rows += some.length;
      if (bytes > CHECKED_BYTES) return;
    }
    if (rows === 0) throw noRows(file.name, notes);
  } finally {
    await source.close();
  }
}
