import type { AdapterFiles } from './adapter.ts';
import { openModelFolder } from './folder.ts';
import { openGgufModel } from './ggufModel.ts';
import type { ModelFiles } from './modelFiles.ts';
import type { OpenOptions } from './open.node.ts';
import { blobSource } from './source.ts';

export type { AdapterFiles } from './adapter.ts';
export type { ModelFiles } from './modelFiles.ts';
export type { OpenOptions } from './open.node.ts';

/**
 * Opens a model in Node, Deno or Bun. `reference` is a folder in Hugging Face's layout, a .gguf file, a
 * folder of PEFT's, which comes with the base model that it names, or a hub id `owner/name[@revision]`
 * of either kind, downloaded once from HF_ENDPOINT and kept under HF_HOME.
 * Throws a PrefgradError that says what is wrong with the reference or with a file.
 */
export async function openModelFiles(reference: string, options: OpenOptions = {}): Promise<ModelFiles> {
  const { openReference } = await import('./open.node.ts');
  return openReference(reference, options);
}

/** Opens a folder of PEFT's without its base model. Throws a PrefgradError that says what is wrong with it. */
export async function openAdapterFiles(reference: string, options: OpenOptions = {}): Promise<AdapterFiles> {
  const { openAdapterReference } = await import('./open.node.ts');
  return openAdapterReference(reference, options);
}

/** Opens a model from Blobs, e.g. files chosen in a browser: those of a Hugging Face folder, or one .gguf file. */
export async function openModelBlobs(
  name: string,
  files: readonly { readonly name: string; readonly blob: Blob }[],
): Promise<ModelFiles> {
  const gguf = files.find((entry) => entry.name.endsWith('.gguf'));
  if (gguf !== undefined) return openGgufModel(blobSource(gguf.name, gguf.blob));
  return openModelFolder({
    name,
    async open(file) {
      const found = files.find((entry) => entry.name === file);
      return found === undefined ? undefined : blobSource(`${name}/${file}`, found.blob);
    },
  });
}
