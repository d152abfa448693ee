import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../../shared');

/** Absolute path of a file in ../shared beside the checkout; undefined where that folder is not there. */
export function shared(path: string): string | undefined {
  const full = resolve(root, path);
  return existsSync(full) ? full : undefined;
}

/** What a skipped test prints after its title. */
export const needsShared = '[skipped where ../shared does not lie beside the checkout]';
