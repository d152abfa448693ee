import { readFile } from 'node:fs/promises';
import { PrefgradError } from '../../engine/errors.ts';
import { parseRows } from './parse.ts';
import type { Rows } from './rows.ts';

/**
 * The rows of a .jsonl, .ndjson or .json file (a JSON array, or JSON lines). Throws a PrefgradError for a
 * file that can not be read, and as `parseRows` does.
 */
export async function readRows(path: string): Promise<Rows> {
  if (/\.(parquet|csv|tsv|arrow|gz|zst)$/i.test(path)) {
    throw new PrefgradError(`${path}: is no JSON; convert it to .jsonl, one JSON object a line`);
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(`${path}: can not be read (${detail}); give the path of a .jsonl or .json file`);
  }
  return parseRows(text, path);
}
