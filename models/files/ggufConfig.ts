import { PrefgradError } from '../../engine/errors.ts';
import type { GgufFile } from './gguf.ts';
import type { GgufMetadata } from './ggufMetadata.ts';
import type { JsonObject } from './json.ts';
import { fitLlama3Scaling } from './ropeFactors.ts';

export type GgufArchitecture = 'llama' | 'qwen2' | 'qwen3' | 'gpt2' | 'gptneox';

const architectures: readonly string[] = [
  'llama',
  'qwen2',
  'qwen3',
  'gpt2',
  'gptneox',
] satisfies GgufArchitecture[];

const isSupported = (name: string): name is GgufArchitecture => architectures.includes(name);

/** The model's kind; one that is not supported is a PrefgradError. */
export function ggufArchitecture({ name, metadata }: GgufFile): GgufArchitecture {
  const architecture = metadata.string('general.architecture');
  if (!isSupported(architecture)) {
    throw new PrefgradError(
      `${name}: holds a ${architecture} model; GGUF files are read for ${architectures.join(', ')}`,
    );
  }
  return architecture;
}

/** config.json as Hugging Face has it for the model in a GGUF file. `tied`: the output head is the embedding. */
export async function ggufConfig(file: GgufFile, tied: boolean): Promise<JsonObject> {
  const architecture = ggufArchitecture(file);
  const shared = {
    bos_token_id: file.metadata.optionalNumber('tokenizer.ggml.bos_token_id'),
    eos_token_id: file.metadata.optionalNumber('tokenizer.ggml.eos_token_id'),
    pad_token_id: file.metadata.optionalNumber('tokenizer.ggml.padding_token_id'),
    tie_word_embeddings: tied,
    torch_dtype: 'float32',
    vocab_size: embeddingRows(file),
  };
  return withoutUndefined({ ...(await configOf(file, architecture)), ...shared });
}

async function configOf(file: GgufFile, architecture: GgufArchitecture): Promise<JsonObject> {
  switch (architecture) {
    case 'gpt2':
      return gpt2Config(file.metadata);
    case 'gptneox':
      return gptNeoXConfig(file.metadata);
    default:
      return llamaConfig(file, architecture);
  }
}

function gpt2Config(metadata: GgufMetadata): JsonObject {
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    activation_function: 'gelu_new',
    layer_norm_epsilon: shortest(metadata.number('gpt2.attention.layer_norm_epsilon')),
    n_embd: metadata.count('gpt2.embedding_length'),
    n_head: metadata.count('gpt2.attention.head_count'),
    n_inner: metadata.count('gpt2.feed_forward_length'),
    n_layer: metadata.count('gpt2.block_count'),
    n_positions: metadata.count('gpt2.context_length'),
  };
}

/** llama.cpp keeps neither θ nor the activation: they are those of all models that were published. */
function gptNeoXConfig(metadata: GgufMetadata): JsonObject {
  const hidden = metadata.count('gptneox.embedding_length');
  const heads = metadata.count('gptneox.attention.head_count');
  return {
    architectures: ['GPTNeoXForCausalLM'],
    model_type: 'gpt_neox',
    hidden_act: 'gelu',
    hidden_size: hidden,
    intermediate_size: metadata.count('gptneox.feed_forward_length'),
    layer_norm_eps: shortest(metadata.number('gptneox.attention.layer_norm_epsilon')),
    max_position_embeddings: metadata.count('gptneox.context_length'),
    num_attention_heads: heads,
    num_hidden_layers: metadata.count('gptneox.block_count'),
    rotary_emb_base: shortest(metadata.optionalNumber('gptneox.rope.freq_base') ?? 10_000),
    rotary_pct: metadata.count('gptneox.rope.dimension_count') / (hidden / heads),
    use_parallel_residual: metadata.optionalBoolean('gptneox.use_parallel_residual') ?? true,
  };
}

const causalLmClasses = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

async function llamaConfig(file: GgufFile, architecture: 'llama' | 'qwen2' | 'qwen3'): Promise<JsonObject> {
  const { metadata } = file;
  const key = (suffix: string) => `${architecture}.${suffix}`;
  const hidden = metadata.count(key('embedding_length'));
  const heads = metadata.count(key('attention.head_count'));
  const headDim = metadata.optionalCount(key('attention.key_length')) ?? hidden / heads;
  const theta = shortest(metadata.optionalNumber(key('rope.freq_base')) ?? 10_000);
  const refuse = (problem: string) =>
    new PrefgradError(`${file.name}: ${problem}, which is not supported here`);

  const experts = metadata.optionalNumber(key('expert_count')) ?? 0;
  if (experts > 0) throw refuse(`has ${experts} experts`);
  const valueDim = metadata.optionalCount(key('attention.value_length')) ?? headDim;
  if (valueDim !== headDim) throw refuse(`has keys of ${headDim} and values of ${valueDim} per head`);
  const rotated = metadata.optionalCount(key('rope.dimension_count')) ?? headDim;
  if (rotated !== headDim) throw refuse(`rotates ${rotated} of a head's ${headDim} values`);
  const window = metadata.optionalCount(key('attention.sliding_window'));
  if (window !== undefined) throw refuse(`attends through a window of ${window} tokens`);
  const attentionBias = file.tensors.has('blk.0.attn_q.bias');

  return {
    architectures: [causalLmClasses[architecture]],
    model_type: architecture,
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: metadata.count(key('feed_forward_length')),
    num_hidden_layers: metadata.count(key('block_count')),
    num_attention_heads: heads,
    num_key_value_heads: metadata.optionalCount(key('attention.head_count_kv')) ?? heads,
    head_dim: headDim,
    max_position_embeddings: metadata.count(key('context_length')),
    rms_norm_eps: shortest(metadata.number(key('attention.layer_norm_rms_epsilon'))),
    rope_theta: theta,
    rope_scaling: await ropeScaling(file, architecture, { theta, headDim }),
    ...(architecture !== 'qwen2' && { attention_bias: attentionBias }),
    ...(architecture === 'llama' && { mlp_bias: file.tensors.has('blk.0.ffn_up.bias') }),
  };
}

async function ropeScaling(
  file: GgufFile,
  architecture: string,
  rope: { theta: number; headDim: number },
): Promise<JsonObject | undefined> {
  if (file.tensors.has('rope_freqs.weight')) {
    return fitLlama3Scaling(file.name, await file.read('rope_freqs.weight'), rope);
  }
  const type = file.metadata.optionalString(`${architecture}.rope.scaling.type`) ?? 'none';
  if (type === 'none') return undefined;
  const original = file.metadata.optionalNumber(`${architecture}.rope.scaling.original_context_length`);
  return withoutUndefined({
    rope_type: type,
    factor: file.metadata.number(`${architecture}.rope.scaling.factor`),
    original_max_position_embeddings: original,
  });
}

function embeddingRows(file: GgufFile): number {
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding?.shape.length !== 2) {
    throw new PrefgradError(
      `${file.name}: has no tensor token_embd.weight with two dimensions; it is no whole model`,
    );
  }
  return embedding.shape[0];
}

/** The shortest decimal that a float32 stands for: 1e-5 for 9.999999747378752e-6. */
function shortest(value: number): number {
  return Number(value.toPrecision(7));
}

function withoutUndefined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
