import { PrefgradError } from '../engine/errors.ts';
import { add, attention, checkpoint, reshape, rmsNorm, swiglu } from '../engine/index.ts';
import type { Tensor, Variable } from '../engine/index.ts';
import type { ConfigReader } from './config.ts';
import { applyDense } from './dense.ts';
import type { Attend, LanguageModel, ModelOptions } from './model.ts';
import { ParameterList } from './model.ts';
import { paddedEmbedding } from './paddedEmbedding.ts';
import { readRope, rotary } from './rope.ts';

/** What differs between the models that share Llama's shape; numbers are Transformers' defaults. */
interface LlamaOptions {
  readonly type: string;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly maxPositions: number;
  /** Where the config does not say; all heads have their own where this does not either. */
  readonly kvHeads?: number;
  readonly headDim?: number;
  /** Queries and keys are normalised within their heads. */
  readonly headNorms?: boolean;
  /** Positions up to which attention through a sliding window sees all there is. */
  readonly window?: number;
}

/** Llama (Touvron et al., arXiv 2302.13971), SmolLM2 among others: grouped KV heads, RoPE, SwiGLU, RMS norms. */
export function llama(config: ConfigReader, options: ModelOptions): LanguageModel {
  const bias = config.boolean('attention_bias', false);
  const mlpBias = config.boolean('mlp_bias', false);
  return build(config, options, {
    type: 'llama',
    qkvBias: bias,
    outputBias: bias,
    mlpBias,
    maxPositions: 2048,
  });
}

/** Mistral (arXiv 2310.06825): Llama without biases, with a sliding window. */
export function mistral(config: ConfigReader, options: ModelOptions): LanguageModel {
  return build(config, options, {
    type: 'mistral',
    qkvBias: false,
    outputBias: false,
    mlpBias: false,
    maxPositions: 131072,
    kvHeads: 8,
    window: config.get('sliding_window') === null ? Infinity : config.integer('sliding_window', 4096),
  });
}

/** Qwen2 (arXiv 2407.10671): Llama with a bias on q, k and v. */
export function qwen2(config: ConfigReader, options: ModelOptions): LanguageModel {
  return build(config, options, {
    type: 'qwen2',
    qkvBias: true,
    outputBias: false,
    mlpBias: false,
    maxPositions: 32768,
    kvHeads: 32,
    window: slidingWindow(config),
  });
}

/** Qwen3 (arXiv 2505.09388): Llama with RMS norms on each head's queries and keys. */
export function qwen3(config: ConfigReader, options: ModelOptions): LanguageModel {
  const bias = config.boolean('attention_bias', false);
  return build(config, options, {
    type: 'qwen3',
    qkvBias: bias,
    outputBias: bias,
    mlpBias: false,
    maxPositions: 32768,
    kvHeads: 32,
    headDim: 128,
    headNorms: true,
    window: slidingWindow(config),
  });
}

/** The smallest window of a Qwen's layers: layers from `max_window_layers` on have one, if any do. */
function slidingWindow(config: ConfigReader): number {
  const types: unknown = config.get('layer_types') ?? [];
  const known: readonly unknown[] = ['full_attention', 'sliding_attention'];
  if (!Array.isArray(types) || types.some((type) => !known.includes(type)))
    throw new PrefgradError(
      `config.json: layer_types ${JSON.stringify(types)} is not supported; supported: a list of ${known.join(' and ')}`,
    );
  const used = config.boolean('use_sliding_window', false) && config.get('sliding_window') !== null;
  const some =
    types.length > 0
      ? types.includes('sliding_attention')
      : config.integer('num_hidden_layers') > config.number('max_window_layers', 28);
  return used && some ? config.integer('sliding_window', 4096) : Infinity;
}

function build(
  config: ConfigReader,
  { maxPositions: most, blocksOf }: ModelOptions,
  options: LlamaOptions,
): LanguageModel {
  const C = config.integer('hidden_size');
  const layers = config.integer('num_hidden_layers');
  const heads = config.integer('num_attention_heads');
  /** Absent, a key has the family's default; null, it follows from the others. */
  const optional = (key: string, absent: number | undefined, derived: number): number =>
    config.get(key) === null ? derived : config.integer(key, absent ?? derived);
  const kvHeads = optional('num_key_value_heads', options.kvHeads, heads);
  const headDim = optional('head_dim', options.headDim, Math.floor(C / heads));
  const inner = config.integer('intermediate_size');
  const vocabSize = config.integer('vocab_size');
  const maxPositions = config.integer('max_position_embeddings', options.maxPositions);
  const eps = config.number('rms_norm_eps', 1e-6);
  config.oneOf('hidden_act', ['silu', 'swish'], 'silu');
  if (heads % kvHeads !== 0)
    throw new PrefgradError(
      `config.json: ${heads} attention heads cannot share ${kvHeads} key-value heads evenly`,
    );
  const settings = readRope(config, maxPositions, {
    theta: 'rope_theta',
    part: 'partial_rotary_factor',
    defaultPart: 1,
  });
  if (settings.part !== 1)
    throw new PrefgradError(
      `config.json: partial_rotary_factor ${settings.part} is not supported for ${options.type}; expected 1`,
    );
  const positions = Math.min(maxPositions, most ?? maxPositions, options.window ?? Infinity);
  const { constants, rotate } = rotary(settings, headDim, positions);

  const std = config.number('initializer_range', 0.02);
  const list = new ParameterList(std, blocksOf);
  const dense = (name: string, input: number, output: number, bias: boolean) =>
    list.dense(name, input, output, { bias });
  const headNorm = (name: string) =>
    options.headNorms === true ? list.norm(`${name}.weight`, headDim) : undefined;
  const embedding = list.matrix('model.embed_tokens.weight', [vocabSize, C]);
  const { embed, tables } = paddedEmbedding(embedding, config.get('pad_token_id'));
  const blocks = Array.from({ length: layers }, (_, i) => {
    const name = `model.layers.${i}`;
    return {
      norm1: list.norm(`${name}.input_layernorm.weight`, C),
      q: dense(`${name}.self_attn.q_proj`, C, heads * headDim, options.qkvBias),
      k: dense(`${name}.self_attn.k_proj`, C, kvHeads * headDim, options.qkvBias),
      v: dense(`${name}.self_attn.v_proj`, C, kvHeads * headDim, options.qkvBias),
      qNorm: headNorm(`${name}.self_attn.q_norm`),
      kNorm: headNorm(`${name}.self_attn.k_norm`),
      output: dense(`${name}.self_attn.o_proj`, heads * headDim, C, options.outputBias),
      norm2: list.norm(`${name}.post_attention_layernorm.weight`, C),
      gate: dense(`${name}.mlp.gate_proj`, C, inner, options.mlpBias),
      up: dense(`${name}.mlp.up_proj`, C, inner, options.mlpBias),
      down: dense(`${name}.mlp.down_proj`, inner, C, options.mlpBias),
    };
  });
  const finalNorm = list.norm('model.norm.weight', C);
  const head = config.boolean('tie_word_embeddings', false)
    ? embedding
    : list.matrix('lm_head.weight', [vocabSize, C]);

  const shape = { heads, kvHeads, headDim };
  /** RMS norm within each head of x [T, heads · headDim]. */
  const normalise = (x: Tensor, norm: Variable | undefined): Tensor => {
    const [T = 0, width = 0] = x.shape;
    return norm === undefined
      ? x
      : reshape(rmsNorm(reshape(x, [T, width / headDim, headDim]), norm.tensor, eps), [T, width]);
  };

  return {
    type: options.type,
    config: config.json,
    vocabSize,
    hiddenSize: C,
    contextLength: positions,
    layers,
    attention: shape,
    parameters: list.parameters,
    linears: list.linears,
    constants: [...constants, ...tables],
    head,
    hidden(inputs, { attend, project = applyDense } = {}) {
      const look: Attend = attend ?? ((_, q, k, v) => attention(q, k, v, inputs.segments, shape));
      const place = (x: Tensor, norm: Variable | undefined): Tensor =>
        rotate(normalise(x, norm), inputs.positions);
      let x = checkpoint(embed(inputs.tokens)); // [T, C]
      blocks.forEach((block, layer) => {
        const y = rmsNorm(x, block.norm1.tensor, eps);
        const [q, k, v] = [block.q, block.k, block.v].map((p) => project(p, y)) as [Tensor, Tensor, Tensor];
        const [placedQ, placedK] = [place(q, block.qNorm), place(k, block.kNorm)];
        x = add(x, project(block.output, look(layer, placedQ, placedK, v)));
        const z = rmsNorm(x, block.norm2.tensor, eps);
        x = checkpoint(add(x, project(block.down, swiglu(project(block.gate, z), project(block.up, z)))));
      });
      return rmsNorm(x, finalNorm.tensor, eps);
    },
  };
}
