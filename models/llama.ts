import { PrefgradError } from '../engine/errors.ts';
import { add, attention, gatherRows, linear, rmsNorm, rope, swiglu } from '../engine/index.ts';
import type { Tensor, Variable } from '../engine/index.ts';
import type { ConfigReader } from './config.ts';
import type { Attend, LanguageModel, ModelInputs } from './model.ts';
import { ParameterList } from './model.ts';
import { rotaryFrequencies, rotaryTables } from './rope.ts';

/** What differs between the models that share Llama's shape. */
interface LlamaOptions {
  readonly type: string;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
}

/** Llama (Touvron et al., arXiv 2302.13971), SmolLM2 among others: grouped KV heads, RoPE, SwiGLU, RMS norms. */
export function llama(config: ConfigReader, maxPositions?: number): LanguageModel {
  const bias = config.boolean('attention_bias', false);
  const mlpBias = config.boolean('mlp_bias', false);
  return build(config, maxPositions, { type: 'llama', qkvBias: bias, outputBias: bias, mlpBias });
}

/** Qwen2 (arXiv 2407.10671): Llama with a bias on q, k and v. */
export function qwen2(config: ConfigReader, maxPositions?: number): LanguageModel {
  config.oneOf('use_sliding_window', [false], false);
  return build(config, maxPositions, { type: 'qwen2', qkvBias: true, outputBias: false, mlpBias: false });
}

function build(config: ConfigReader, maxPositions: number | undefined, options: LlamaOptions): LanguageModel {
  const C = config.integer('hidden_size');
  const layers = config.integer('num_hidden_layers');
  const heads = config.integer('num_attention_heads');
  const kvHeads = config.integer('num_key_value_heads', heads);
  const headDim = config.integer('head_dim', C / heads);
  const inner = config.integer('intermediate_size');
  const vocabSize = config.integer('vocab_size');
  const contextLength = config.integer('max_position_embeddings');
  const eps = config.number('rms_norm_eps', 1e-6);
  config.oneOf('hidden_act', ['silu'], 'silu');
  if (heads % kvHeads !== 0)
    throw new PrefgradError(
      `config.json: ${heads} attention heads cannot share ${kvHeads} key-value heads evenly`,
    );

  if (headDim % 2 !== 0)
    throw new PrefgradError(`config.json: head_dim must be even for rotary embeddings, got ${headDim}`);

  const std = config.number('initializer_range', 0.02);
  const list = new ParameterList(std);
  const dense = (name: string, input: number, output: number, bias: boolean) => ({
    weight: list.matrix(`${name}.weight`, [output, input]),
    bias: bias ? list.bias(`${name}.bias`, output) : undefined,
  });
  const embedding = list.matrix('model.embed_tokens.weight', [vocabSize, C]);
  const blocks = Array.from({ length: layers }, (_, i) => {
    const name = `model.layers.${i}`;
    return {
      norm1: list.norm(`${name}.input_layernorm.weight`, C),
      q: dense(`${name}.self_attn.q_proj`, C, heads * headDim, options.qkvBias),
      k: dense(`${name}.self_attn.k_proj`, C, kvHeads * headDim, options.qkvBias),
      v: dense(`${name}.self_attn.v_proj`, C, kvHeads * headDim, options.qkvBias),
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

  const positions = Math.min(contextLength, maxPositions ?? contextLength);
  const { cos, sin } = rotaryTables(rotaryFrequencies(config, headDim), positions);
  const shape = { heads, kvHeads, headDim };
  const project = (x: Tensor, { weight, bias }: { weight: Variable; bias: Variable | undefined }) =>
    linear(x, weight.tensor, bias?.tensor);

  return {
    type: options.type,
    config: config.json,
    vocabSize,
    hiddenSize: C,
    contextLength: positions,
    layers,
    attention: shape,
    parameters: list.parameters,
    constants: [cos, sin],
    head,
    hidden(inputs: ModelInputs, attend?: Attend): Tensor {
      const look: Attend = attend ?? ((_, q, k, v) => attention(q, k, v, inputs.segments, shape));
      const rotate = (x: Tensor) =>
        rope(x, inputs.positions, cos.variable.tensor, sin.variable.tensor, headDim);
      let x = gatherRows(embedding.tensor, inputs.tokens); // [T, C]
      blocks.forEach((block, layer) => {
        const y = rmsNorm(x, block.norm1.tensor, eps);
        const [q, k, v] = [block.q, block.k, block.v].map((p) => project(y, p)) as [Tensor, Tensor, Tensor];
        x = add(x, project(look(layer, rotate(q), rotate(k), v), block.output));
        const z = rmsNorm(x, block.norm2.tensor, eps);
        x = add(x, project(swiglu(project(z, block.gate), project(z, block.up)), block.down));
      });
      return rmsNorm(x, finalNorm.tensor, eps);
    },
  };
}
