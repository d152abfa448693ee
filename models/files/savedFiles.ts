import type { Tokenizer } from '../tokenizer.ts';
import type { JsonObject } from './json.ts';
import { writeSafetensors, type SafetensorsEntry, type WrittenDtype } from './safetensorsWriter.ts';
import type { FileSink } from './source.ts';

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

/** A file of a saved model: its name, and what writes its bytes front to back. */
export interface SavedFile {
  readonly name: string;
  readonly write: (sink: FileSink) => Promise<void>;
}

/** Adapters as they are saved: adapter_config.json, their tensors, and the tokenizer that they were trained with. */
export interface SavedAdapter {
  readonly config: JsonObject;
  readonly tokenizer?: Tokenizer;
  readonly tensors: SavedModel['tensors'];
}

/** The files of PEFT's folder. */
export function savedAdapterFiles({ config, tokenizer, tensors }: SavedAdapter): SavedFile[] {
  const entries = tensors.map((tensor) => ({ ...tensor, dtype: 'F32' as const }));
  return [
    { name: 'adapter_model.safetensors', write: (sink) => writeSafetensors(sink, entries) },
    ...json('adapter_config.json', config),
    ...tokenizerFiles(tokenizer),
  ];
}

/** The files of a model's folder; a checkpoint has them among its own. */
export function savedFiles(
  { config, generationConfig = {}, tokenizer, tensors }: SavedModel,
  dtype: WrittenDtype = 'F32',
): SavedFile[] {
  const tied = config.tie_word_embeddings ?? config.model_type === 'gpt2';
  const kept = tensors.filter(({ name }) => !(tied === true && name === 'lm_head.weight'));
  const entries = kept.map((tensor) => ({ ...tensor, dtype }));
  return [
    { name: 'model.safetensors', write: (sink) => writeSafetensors(sink, entries) },
    ...json('config.json', savedConfig(config, dtype)),
    ...json('generation_config.json', generationConfig),
    ...tokenizerFiles(tokenizer),
  ];
}

function tokenizerFiles(tokenizer: Tokenizer | undefined): SavedFile[] {
  const template = tokenizer?.chatTemplateFile;
  return [
    ...json('tokenizer.json', tokenizer?.json),
    ...json('tokenizer_config.json', tokenizer?.config),
    ...(template === undefined ? [] : [textFile('chat_template.jinja', template)]),
  ];
}

export const textFile = (name: string, content: string): SavedFile => ({
  name,
  write: (sink) => sink.write(new TextEncoder().encode(content)),
});

const json = (name: string, value: JsonObject | undefined): SavedFile[] =>
  value === undefined || Object.keys(value).length === 0
    ? []
    : [textFile(name, `${JSON.stringify(value, undefined, 2)}\n`)];

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
