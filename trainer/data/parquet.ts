import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { PrefgradError } from '../../engine/errors.ts';
import type { FileSource } from '../../models/files/source.ts';
import { columnNames } from './columns.ts';
import { holdsRows, isRowKey, rowKeys } from './detect.ts';
import type { Entry } from './stage.ts';

/**
 * The rows of a Parquet file, a row group at a time (one must fit in memory), of the columns that rows are made of
 * and of `further` ones.
 * Errors: a file that is not whole; columns that make no row; a compression that is unknown.
 */
export async function* parquetEntries(
  source: FileSource,
  onBytes: (bytes: number) => void,
  further: readonly string[],
): AsyncGenerator<Entry[], void, undefined> {
  const [{ parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const file: AsyncBuffer = {
    byteLength: source.size,
    slice: async (start, end = source.size) => (await source.read(start, end - start)).buffer,
  };
  const metadata = await whole(source, 'its footer', () => parquetMetadataAsync(file));
  const columns = columnsOf(metadata);
  if (!holdsRows(columns))
    throw new PrefgradError(`${source.name}: has the columns ${columns.join(', ')}; expected ${rowKeys}`);
  const wanted = new Set(further.flatMap(columnNames));
  const read = columns.filter((name) => isRowKey(name) || wanted.has(name));
  let rowStart = 0;
  let behind = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const options = { file, metadata, columns: read, rowStart, rowEnd, compressors };
    const rows = await whole(source, `rows ${rowStart + 1} to ${rowEnd}`, () => parquetReadObjects(options));
    const first = rowStart + 1;
    yield rows.map((row, i) => ({ value: withNumbers(row), line: first + i }));
    // The file's bytes in equal parts, since columns that are not read are passed over.
    const passed = Math.round((source.size * rowEnd) / Math.max(Number(metadata.num_rows), 1));
    onBytes(passed - behind);
    [rowStart, behind] = [rowEnd, passed];
  }
}

/** The schema is a tree in depth-first order; its root's children are the columns. */
function columnsOf({ schema }: FileMetaData): string[] {
  const columns: string[] = [];
  for (let i = 1; i < schema.length;) {
    columns.push(schema[i]?.name ?? '');
    for (let open = 1; open > 0; i++) open += (schema[i]?.num_children ?? 0) - 1;
  }
  return columns;
}

async function whole<T>(source: FileSource, what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof PrefgradError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(
      `${source.name}: the Parquet file is truncated or damaged: ${what} can not be read (${detail}); download or copy it again`,
    );
  }
}

/** 64-bit integers as numbers, which is what labels are. */
function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNumbers(inner)]));
}
