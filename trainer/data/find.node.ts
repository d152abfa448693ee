import { PrefgradError } from '../../engine/errors.ts';
import type { DataPart } from '../config.ts';
import type { DataFile, FoundData, LoadHooks } from './load.ts';
import { percentOf } from './load.ts';
import { checkData } from './read.node.ts';
import { findData } from './source.node.ts';

/**
 * Finds data: one path or https:// address, or several with their weights; what is on the web is downloaded. Errors: a
 * file that is not there; one whose beginning (64 MiB) is not valid, or which has no usable row, with file and line.
 */
export async function findRows(
  data: string | readonly DataPart[],
  { onProgress, signal }: LoadHooks = {},
): Promise<FoundData> {
  const given = typeof data === 'string' ? [{ path: data, weight: null }] : data;
  const parts: { file: DataFile; weight: number | null }[] = [];
  for (const { path, weight } of given) {
    signal?.throwIfAborted();
    const percent = percentOf(onProgress);
    const file = await findData(path, percent);
    if (parts.some((part) => part.file.name === file.name))
      throw new PrefgradError(`data: ${file.name} is there twice; name it once, with a weight`);
    await checkData(file);
    parts.push({ file, weight });
  }
  return { parts };
}
