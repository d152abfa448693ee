import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Tokenizer } from '../tokenizer.ts';
import type { JsonObject } from './json.ts';
import { writeSafetensors, type SafetensorsEntry, type WrittenDtype } from './safetensorsWriter.ts';
import { openFileSink } from './source.node.ts';

export interface SavedModel {
  /** config.json; `architectures` and the dtype are set to what is written. */
  readonly config: JsonObject;
  readonly generationConfig?: JsonObject;
  readonly tokenizer?: Tokenizer;
  /** Weights by their Hugging Face names and in its layout; each is fetched when its turn comes. */
  readonly tensors: readonly Omit<SafetensorsEntry, 'dtype'>[];
}

const torchNames = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const satisfies Record<
  WrittenDtype,
  string
>;

const causalLmClasses: Readonly<Record<string, string>> = {
  gpt2: 'GPT2LMHeadModel',
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
};

/**
 * Saves a model as a folder that Transformers loads: config.json, generation_config.json,
 * model.safetensors, tokenizer.json, tokenizer_config.json. It is written into a folder beside and moved
 * into place when it is whole: by one rename where `folder` does not exist yet; else file by file, the
 * weights before the configuration, leaving other files there alone.
 */
export async function saveModelFiles(
  folder: string,
  model: SavedModel,
  { dtype = 'F32' }: { dtype?: WrittenDtype } = {},
): Promise<void> {
  const target = resolve(folder);
  const beside = join(dirname(target), `.${basename(target)}.saving-${process.pid}-${Date.now()}`);
  await mkdir(beside, { recursive: true });
  try {
    await writeModel(beside, model, dtype);
    await syncFolder(beside);
    if (await isFolder(target)) {
      const files = (await readdir(beside)).sort(
        (a, b) => Number(a === 'config.json') - Number(b === 'config.json'),
      );
      for (const file of files) await rename(join(beside, file), join(target, file));
      await syncFolder(target);
    } else {
      await rename(beside, target);
    }
    await syncFolder(dirname(target));
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

async function writeModel(folder: string, model: SavedModel, dtype: WrittenDtype): Promise<void> {
  const { config, generationConfig = {}, tokenizer, tensors } = model;
  const tied = config.tie_word_embeddings ?? config.model_type === 'gpt2';
  const kept = tensors.filter(({ name }) => !(tied === true && name === 'lm_head.weight'));
  const sink = await openFileSink(join(folder, 'model.safetensors'));
  try {
    await writeSafetensors(
      sink,
      kept.map((tensor) => ({ ...tensor, dtype })),
    );
  } finally {
    await sink.close();
  }
  await writeJson(join(folder, 'config.json'), savedConfig(config, dtype));
  if (Object.keys(generationConfig).length > 0) {
    await writeJson(join(folder, 'generation_config.json'), generationConfig);
  }
  if (tokenizer === undefined) return;
  await writeJson(join(folder, 'tokenizer.json'), tokenizer.json);
  if (Object.keys(tokenizer.config).length > 0) {
    await writeJson(join(folder, 'tokenizer_config.json'), tokenizer.config);
  }
  if (tokenizer.chatTemplateFile !== undefined) {
    await writeText(join(folder, 'chat_template.jinja'), tokenizer.chatTemplateFile);
  }
}

/** `torch_dtype` is what every version of Transformers reads; newer ones write `dtype`. */
function savedConfig(config: JsonObject, dtype: WrittenDtype): JsonObject {
  const { model_type: modelType, architectures, dtype: _replaced, ...rest } = config;
  const known = typeof modelType === 'string' && Object.hasOwn(causalLmClasses, modelType);
  return {
    architectures: architectures ?? (known ? [causalLmClasses[modelType]] : undefined),
    model_type: modelType,
    ...rest,
    torch_dtype: torchNames[dtype],
  };
}

const writeJson = (path: string, value: JsonObject): Promise<void> =>
  writeText(path, `${JSON.stringify(value, undefined, 2)}\n`);

async function writeText(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flush: true });
}

/** Makes renames in a folder survive a power cut, where the system lets one open a folder. */
async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // Windows cannot; its renames are journalled.
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
