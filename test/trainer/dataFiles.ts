import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Rows } from '../../trainer/data/index.ts';
import { readRows } from '../../trainer/data/read.node.ts';

/** A folder of this test file, removed at its end. */
export const folder = mkdtempSync(join(tmpdir(), 'prefgrad-data-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a data file of this content. */
export function read(name: string, content: string | Uint8Array): Promise<Rows> {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readRows(path);
}

/** What is said of a data file of this content, its folder left away. */
export async function mistake(name: string, content: string | Uint8Array): Promise<string> {
  return read(name, content).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message.replace(`${folder}/`, '') : 'no error'),
  );
}
