import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SHOWN_NOTES, type Notes } from './rows.ts';

/**
 * Writes a line for every row that was left out or is odd: `{"file", "line", "left_out": why}` or `{…, "remark": what}`.
 * Without such rows, a list of an earlier run is removed. Gives a sentence for the user where messages show only some.
 */
export async function writeNotes(path: string, notes: readonly Notes[]): Promise<string> {
  const lines = notes.flatMap(({ leftOut, remarks }) => [
    ...leftOut.map(({ origin, reason }) => JSON.stringify({ ...origin, left_out: reason })),
    ...remarks.map(({ origin, reason }) => JSON.stringify({ ...origin, remark: reason })),
  ]);
  if (lines.length === 0) {
    await rm(path, { force: true });
    return '';
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${lines.join('\n')}\n`);
  return lines.length > SHOWN_NOTES ? `rows that are left out or odd are all listed in ${path}` : '';
}
