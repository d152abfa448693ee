import { PrefgradError } from '../../engine/errors.ts';
import { Tokenizer } from '../tokenizer.ts';
import { readJsonObject, type JsonObject } from './json.ts';
import type { ModelFiles } from './modelFiles.ts';
import { openSafetensors, type TensorFile } from './safetensors.ts';
import { openSharded } from './safetensorsIndex.ts';
import { readText, type FileSource } from './source.ts';

/** A folder of files by name, wherever it lies. */
export interface FileFolder {
  /** What messages call it. */
  readonly name: string;
  /** Opens one file; undefined where the folder does not have it. */
  open(file: string): Promise<FileSource | undefined>;
}

/**
 * Opens a model in Hugging Face's layout: config.json, and model.safetensors or the shards that
 * model.safetensors.index.json lists; tokenizer.json, tokenizer_config.json, chat_template.jinja and
 * generation_config.json where they are. A missing or malformed file is a PrefgradError that names it.
 */
export async function openModelFolder(folder: FileFolder): Promise<ModelFiles> {
  const config = await readOptionalJson(folder, 'config.json');
  if (config === undefined) {
    throw new PrefgradError(
      `${folder.name}: has no config.json; give a folder in Hugging Face's layout (config.json, model.safetensors, tokenizer.json)`,
    );
  }
  const generationConfig = (await readOptionalJson(folder, 'generation_config.json')) ?? {};
  const tokenizer = await readTokenizer(folder, [generationConfig, config]);
  const tensors = await openTensors(folder);
  return {
    name: folder.name,
    config,
    generationConfig,
    tokenizer,
    tensorNames: () => tensors.tensorNames(),
    shape: (tensor) => tensors.shape(tensor),
    read: (tensor) => tensors.read(tensor),
    close: () => tensors.close(),
  };
}

async function openTensors(folder: FileFolder): Promise<TensorFile> {
  const whole = await folder.open('model.safetensors');
  if (whole !== undefined) return openSafetensors(whole);
  const index = await folder.open('model.safetensors.index.json');
  if (index === undefined) {
    throw new PrefgradError(
      `${folder.name}: has neither model.safetensors nor model.safetensors.index.json; ` +
        'weights in other formats (pytorch_model.bin) have to be converted to safetensors first',
    );
  }
  try {
    return await openSharded(index, async (file) => {
      const shard = await folder.open(file);
      if (shard === undefined) {
        throw new PrefgradError(
          `${folder.name}: lacks ${file}, which ${index.name} lists; copy the missing shard`,
        );
      }
      return shard;
    });
  } finally {
    await index.close();
  }
}

/** A folder's tokenizer. `configs` are asked in turn for the ids that tokenizer_config.json leaves open. */
export async function readTokenizer(
  folder: FileFolder,
  configs: readonly JsonObject[],
): Promise<Tokenizer | undefined> {
  const json = await readOptionalJson(folder, 'tokenizer.json');
  if (json === undefined) return undefined;
  const config = (await readOptionalJson(folder, 'tokenizer_config.json')) ?? {};
  const chatTemplate = await readOptional(folder, 'chat_template.jinja', readText);
  const id = (key: string): number | undefined => {
    for (const values of configs) {
      const value: unknown = values[key];
      if (typeof value === 'number') return value;
      if (Array.isArray(value) && typeof value[0] === 'number') return value[0]; // several EOS tokens
    }
    return undefined;
  };
  return new Tokenizer({
    json,
    config,
    chatTemplate,
    ids: { bos: id('bos_token_id'), eos: id('eos_token_id'), pad: id('pad_token_id') },
    name: `${folder.name}: tokenizer.json`,
  });
}

const readOptionalJson = (folder: FileFolder, file: string): Promise<JsonObject | undefined> =>
  readOptional(folder, file, readJsonObject);

async function readOptional<T>(
  folder: FileFolder,
  file: string,
  read: (source: FileSource) => Promise<T>,
): Promise<T | undefined> {
  const source = await folder.open(file);
  if (source === undefined) return undefined;
  try {
    return await read(source);
  } finally {
    await source.close();
  }
}
