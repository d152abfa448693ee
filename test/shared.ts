import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../shared');

/** Absolute path of a file in ../shared beside the checkout; undefined where that folder is not there. */
export function shared(path: string): string | undefined {
  const full = resolve(root, path);
  return existsSync(full) ? full : undefined;
}

const fetchedRoot = resolve(import.meta.dirname, '../runs/smollm2');

/** Absolute path of a file that examples/smollm2/fetch.sh has brought; undefined where it has not run. */
export function fetched(file: string): string | undefined {
  const full = resolve(fetchedRoot, file);
  return existsSync(full) ? full : undefined;
}

/** What a skipped test prints after its title. */
export const needsShared = '[skipped where ../shared does not lie beside the checkout]';
export const needsFetched = '[skipped where bash examples/smollm2/fetch.sh has not run]';
