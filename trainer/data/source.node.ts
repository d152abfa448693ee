import { readFile, stat } from 'node:fs/promises';
import { PrefgradError } from '../../engine/errors.ts';
import { memorySource } from '../../models/files/source.ts';
import { openFileSource } from '../../models/files/source.node.ts';
import type { DataFile } from './load.ts';
import { fetchData, isUrl } from './remote.node.ts';

/**
 * Finds a data file: a path, or an https:// address, which is downloaded first. A pipe is read into memory. Errors:
 * nothing is there, or it can not be read.
 */
export async function findData(
  path: string,
  onDownload?: (received: number, total: number) => void,
): Promise<DataFile> {
  if (isUrl(path)) {
    const local = await fetchData(path, ({ received, total }) => onDownload?.(received, total ?? received));
    const name = shownUrl(path);
    return { name, open: async () => ({ ...(await openFileSource(local)), name }) };
  }
  try {
    const found = await stat(path);
    if (found.isDirectory())
      throw new PrefgradError(`${path}: is a folder; give the path of a data file, such as a .jsonl file`);
    if (found.isFile()) return { name: path, open: () => openFileSource(path) };
    const bytes = await readFile(path);
    return { name: path, open: async () => memorySource(path, bytes) };
  } catch (error) {
    if (error instanceof PrefgradError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(`${path}: can not be read (${detail}); give the path of a data file`);
  }
}

/** Signatures and passwords are nobody's business. */
function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
