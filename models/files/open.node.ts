import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PrefgradError } from '../../engine/errors.ts';
import { openAdapterFolder, type AdapterFiles } from './adapter.ts';
import type { DownloadProgress } from './download.node.ts';
import { openModelFolder, readTokenizer, type FileFolder } from './folder.ts';
import { openGgufModel } from './ggufModel.ts';
import { hubFolder } from './hub.node.ts';
import { parseHubReference, type HubReference } from './hubReference.ts';
import type { ModelFiles } from './modelFiles.ts';
import { openFileSource } from './source.node.ts';

export interface OpenOptions {
  /** Told as files are downloaded from the hub. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** See `openModelFiles` in open.ts. */
export async function openReference(reference: string, options: OpenOptions = {}): Promise<ModelFiles> {
  const kind = await kindOfPath(reference);
  if (kind === 'folder') {
    const folder = folderAt(reference);
    const adapter = await openAdapterFolder(folder);
    return adapter ? openAdapted(folder, adapter, options) : openModelFolder(folder);
  }
  return openOther(reference, kind, options);
}

/** A file, or a model of the hub. */
async function openOther(
  reference: string,
  kind: Awaited<ReturnType<typeof kindOfPath>>,
  options: OpenOptions,
): Promise<ModelFiles> {
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

/** See `openAdapterFiles` in open.ts. */
export async function openAdapterReference(
  reference: string,
  options: OpenOptions = {},
): Promise<AdapterFiles> {
  const kind = await kindOfPath(reference);
  const hub = kind === undefined ? parseHubReference(reference) : undefined;
  const folder = hub ? hubFolder(hub, options.onProgress) : folderAt(reference);
  const adapter = hub || kind === 'folder' ? await openAdapterFolder(folder) : undefined;
  if (adapter === undefined)
    throw new PrefgradError(
      `${reference}: has no adapter_config.json; give a folder in PEFT's layout (adapter_config.json, adapter_model.safetensors)`,
    );
  return adapter;
}

async function openHubModel(reference: string, hub: HubReference, options: OpenOptions): Promise<ModelFiles> {
  const folder = hubFolder(hub, options.onProgress);
  try {
    return await openModelFolder(folder);
  } catch (error) {
    const adapter = await openAdapterFolder(folder).catch(() => undefined);
    if (adapter) return openAdapted(folder, adapter, options);
    if (!(error instanceof PrefgradError)) throw error;
    throw new PrefgradError(
      `${error.message} (there is no folder ${reference} here, so it was taken for a hub id)`,
    );
  }
}

/** The model that an adapter was trained on, with the adapter, and its tokenizer where it has one of its own. */
async function openAdapted(
  folder: FileFolder,
  adapter: AdapterFiles,
  options: OpenOptions,
): Promise<ModelFiles> {
  let base: ModelFiles | undefined;
  try {
    const opened = await openBase(adapter, options);
    base = opened;
    const own = await readTokenizer(folder, [opened.generationConfig, opened.config]);
    return {
      ...opened,
      name: adapter.name,
      tokenizer: own ?? opened.tokenizer,
      adapter,
      async close() {
        await adapter.close();
        await opened.close();
      },
    };
  } catch (error) {
    await adapter.close();
    await base?.close();
    throw error;
  }
}

/** The whole model that an adapter names. */
async function openBase(adapter: AdapterFiles, options: OpenOptions): Promise<ModelFiles> {
  const reference = await baseOf(adapter);
  const kind = await kindOfPath(reference);
  if (kind !== 'folder') return openOther(reference, kind, options);
  if ((await kindOfPath(join(reference, 'adapter_config.json'))) !== undefined)
    throw new PrefgradError(`${adapter.name}: its base ${reference} is an adapter too; merge that one first`);
  return openModelFolder(folderAt(reference));
}

/** Where an adapter's base model is: a path, which may be relative to one of the folders that the adapter lies in. */
async function baseOf({ name, base, json }: AdapterFiles): Promise<string> {
  if (base === undefined)
    throw new PrefgradError(
      `${name}: adapter_config.json has no base_model_name_or_path; write there which model the adapter belongs to`,
    );
  if ((await kindOfPath(base)) !== undefined) return base;
  for (let above = resolve(name); ; above = dirname(above)) {
    const path = resolve(above, base);
    if ((await kindOfPath(path)) !== undefined) return path;
    if (above === dirname(above)) break;
  }
  const { revision } = json;
  if (parseHubReference(base) !== undefined)
    return typeof revision === 'string' ? `${base}@${revision}` : base;
  throw new PrefgradError(
    `${name}: adapter_config.json names the base model ${base}, which is not there; correct base_model_name_or_path`,
  );
}

const folderAt = (path: string): FileFolder => ({
  name: path,
  async open(file) {
    const full = join(path, file);
    return (await kindOfPath(full)) === 'file' ? openFileSource(full) : undefined;
  },
});

async function kindOfPath(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    const stats = await stat(path);
    return stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : undefined;
  } catch {
    return undefined;
  }
}
