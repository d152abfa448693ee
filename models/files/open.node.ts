import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PrefgradError } from '../../engine/errors.ts';
import type { DownloadProgress } from './download.node.ts';
import { openModelFolder } from './folder.ts';
import { openGgufModel } from './ggufModel.ts';
import { hubFolder, parseHubReference, type HubReference } from './hub.node.ts';
import type { ModelFiles } from './modelFiles.ts';
import { openFileSource } from './source.node.ts';

export interface OpenOptions {
  /** Told as files are downloaded from the hub. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** See `openModelFiles` in open.ts. */
export async function openReference(reference: string, options: OpenOptions = {}): Promise<ModelFiles> {
  const kind = await kindOfPath(reference);
  if (kind === 'folder') return openFolderPath(reference);
  if (kind === 'file') {
    if (reference.endsWith('.gguf')) return openGgufModel(await openFileSource(reference));
    throw new PrefgradError(
      `${reference}: is a file, but not a .gguf one; give the folder that it lies in, or a .gguf file`,
    );
  }
  const hub = parseHubReference(reference);
  if (hub !== undefined) return openHubModel(reference, hub, options);
  throw new PrefgradError(
    `${reference}: there is no such folder or file, and it is no hub id (owner/name or owner/name@revision); check the path`,
  );
}

async function openHubModel(reference: string, hub: HubReference, options: OpenOptions): Promise<ModelFiles> {
  try {
    return await openModelFolder(hubFolder(hub, options.onProgress));
  } catch (error) {
    if (!(error instanceof PrefgradError)) throw error;
    throw new PrefgradError(
      `${error.message} (there is no folder ${reference} here, so it was taken for a hub id)`,
    );
  }
}

async function openFolderPath(path: string): Promise<ModelFiles> {
  return openModelFolder({
    name: path,
    async open(file) {
      const full = join(path, file);
      return (await kindOfPath(full)) === 'file' ? openFileSource(full) : undefined;
    },
  });
}

async function kindOfPath(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    const stats = await stat(path);
    return stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : undefined;
  } catch {
    return undefined;
  }
}
