import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Tokenizer } from '../tokenizer.ts';
import type { JsonObject } from './json.ts';
import { writeSafetensors, type SafetensorsEntry, type WrittenDtype } from './safetensorsWriter.ts';
import type { FileSink } from './source.ts';
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
  gpt_neox: 'GPTNeoXForCausalLM',
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
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
    for (const { name, write } of savedFiles(model, dtype)) {
      const sink = await openFileSink(join(beside, name));
      await write(sink).finally(() => sink.close());
    }
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

/** A file of a saved model: its name, and what writes its bytes front to back. */
export interface SavedFile {
  readonly name: string;
  readonly write: (sink: FileSink) => Promise<void>;
}

/** The files of a model's folder; a checkpoint has them among its own. */
export function savedFiles(
  { config, generationConfig = {}, tokenizer, tensors }: SavedModel,
  dtype: WrittenDtype = 'F32',
): SavedFile[] {
  const tied = config.tie_word_embeddings ?? config.model_type === 'gpt2';
  const kept = tensors.filter(({ name }) => !(tied === true && name === 'lm_head.weight'));
  const entries = kept.map((tensor) => ({ ...tensor, dtype }));
  const text = (name: string, content: string): SavedFile => ({
    name,
    write: (sink) => sink.write(new TextEncoder().encode(content)),
  });
  const json = (name: string, value: JsonObject | undefined): SavedFile[] =>
    value === undefined || Object.keys(value).length === 0
      ? []
      : [text(name, `${JSON.stringify(value, undefined, 2)}\n`)];
  const template = tokenizer?.chatTemplateFile;
  return [
    { name: 'model.safetensors', write: (sink) => writeSafetensors(sink, entries) },
    ...json('config.json', savedConfig(config, dtype)),
    ...json('generation_config.json', generationConfig),
    ...json('tokenizer.json', tokenizer?.json),
    ...json('tokenizer_config.json', tokenizer?.config),
    ...(template === undefined ? [] : [text('chat_template.jinja', template)]),
  ];
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
