import { PrefgradError } from '../../engine/errors.ts';
import type { FileSource } from '../../models/files/source.ts';
import { csvRecords } from './csv.ts';
import { JsonText } from './json.ts';
import { parquetEntries } from './parquet.ts';
import type { Entry, Stage } from './stage.ts';
import { bytesOf, decodeText, gunzip } from './text.ts';

type Format = 'json' | 'csv' | 'tsv' | 'parquet';

const byEnding: Readonly<Record<string, Format>> = {
  jsonl: 'json',
  ndjson: 'json',
  json: 'json',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
};

/**
 * The values of a data file, as they are read: JSON lines, a JSON array, CSV with a first line of column names (each
 * also as .gz), or Parquet. Memory holds a piece of the file, of Parquet a row group. Throws a PrefgradError with file
 * and line for what is not valid in its format; `onBytes` gets the bytes that were passed.
 */
export async function* entriesOf(
  source: FileSource,
  onBytes: (bytes: number) => void = () => {},
  columns: readonly string[] = [],
): AsyncGenerator<readonly Entry[], void, undefined> {
  const head = await source.read(0, Math.min(source.size, 4));
  const packed = head[0] === 0x1f && head[1] === 0x8b;
  const format = formatOf(source.name, packed ? '' : String.fromCharCode(...head));
  if (format === 'parquet') {
    yield* parquetEntries(source, onBytes, columns);
    return;
  }
  const stage: Stage<string, Entry> =
    format === 'json'
      ? new JsonText(source.name)
      : await csvRecords(source.name, format === 'csv' ? ',' : '\t');
  const bytes = bytesOf(source, onBytes);
  for await (const text of decodeText(source.name, packed ? gunzip(source.name, bytes) : bytes))
    yield stage.push(text);
  yield stage.end();
}

/** The file's first bytes decide where they can, its name's ending where they cannot. */
function formatOf(name: string, head: string): Format {
  if (head === 'PAR1') return 'parquet';
  if (head.startsWith('\xff\xfe') || head.startsWith('\xfe\xff'))
    throw new PrefgradError(`${name}: is UTF-16 text; save the file as UTF-8`);
  const ending = /\.(\w+)$/.exec(name.replace(/\.gz$/i, '').toLowerCase())?.[1] ?? '';
  const format = byEnding[ending];
  if (format !== undefined) return format;
  if (head === '' || /^\s*[[{]/.test(head)) return 'json';
  throw new PrefgradError(
    `${name}: is no data file that can be read; expected .jsonl, .json, .csv or .tsv (also as .gz), or .parquet`,
  );
}
