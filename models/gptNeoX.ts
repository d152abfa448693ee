import { PrefgradError } from '../engine/errors.ts';
import { add, attention, checkpoint, gatherRows, layerNorm, reshape, split } from '../engine/index.ts';
import type { Tensor, Variable } from '../engine/index.ts';
import { readActivation } from './activation.ts';
import type { ConfigReader } from './config.ts';
import { applyDense } from './dense.ts';
import type { Attend, LanguageModel, ModelOptions } from './model.ts';
import { ParameterList } from './model.ts';
import { readRope, rotary } from './rope.ts';

/**
 * GPT-NeoX (Black et al., arXiv 2204.06745), Pythia (arXiv 2304.01373) among others: attention and MLP side by side,
 * part of each head rotated, q, k and v in one matrix head by head, an output head of its own.
 */
export function gptNeoX(config: ConfigReader, options: ModelOptions): LanguageModel {
  const C = config.integer('hidden_size');
  const layers = config.integer('num_hidden_layers');
  const heads = config.integer('num_attention_heads');
  if (C % heads !== 0)
    throw new PrefgradError(`config.json: num_attention_heads ${heads} does not divide hidden_size ${C}`);
  const headDim = C / heads;
  config.oneOf('head_dim', [headDim], headDim);
  const inner = config.integer('intermediate_size');
  const vocabSize = config.integer('vocab_size');
  const maxPositions = config.integer('max_position_embeddings', 2048);
  const eps = config.number('layer_norm_eps', 1e-5);
  const activate = readActivation(config, 'hidden_act', 'gelu');
  const parallel = config.boolean('use_parallel_residual', true);
  const attentionBias = config.boolean('attention_bias', true);
  const settings = readRope(config, maxPositions, {
    theta: 'rotary_emb_base',
    part: 'rotary_pct',
    defaultPart: 0.25,
  });
  const positions = Math.min(maxPositions, options.maxPositions ?? maxPositions);
  const { constants, rotate } = rotary(settings, headDim, positions);

  const list = new ParameterList(config.number('initializer_range', 0.02), options.blocksOf);
  const norm = (name: string) => ({
    weight: list.norm(`${name}.weight`, C),
    bias: list.bias(`${name}.bias`, C),
  });
  const embedding = list.matrix('gpt_neox.embed_in.weight', [vocabSize, C]);
  const blocks = Array.from({ length: layers }, (_, i) => {
    const name = `gpt_neox.layers.${i}`;
    return {
      norm1: norm(`${name}.input_layernorm`),
      norm2: norm(`${name}.post_attention_layernorm`),
      qkv: list.dense(`${name}.attention.query_key_value`, C, 3 * C, { bias: attentionBias }),
      output: list.dense(`${name}.attention.dense`, C, C, { bias: attentionBias }),
      up: list.dense(`${name}.mlp.dense_h_to_4h`, C, inner),
      down: list.dense(`${name}.mlp.dense_4h_to_h`, inner, C),
    };
  });
  const finalNorm = norm('gpt_neox.final_layer_norm');
  const head = config.boolean('tie_word_embeddings', false)
    ? embedding
    : list.matrix('embed_out.weight', [vocabSize, C]);

  const shape = { heads, kvHeads: heads, headDim };
  const normalise = (x: Tensor, { weight, bias }: { weight: Variable; bias: Variable }) =>
    layerNorm(x, weight.tensor, bias.tensor, eps);
  type Block = (typeof blocks)[number];

  return {
    type: 'gpt_neox',
    config: config.json,
    vocabSize,
    hiddenSize: C,
    contextLength: positions,
    layers,
    attention: shape,
    parameters: list.parameters,
    linears: list.linears,
    constants,
    head,
    hidden(inputs, { attend, project = applyDense } = {}) {
      const look: Attend = attend ?? ((_, q, k, v) => attention(q, k, v, inputs.segments, shape));
      const attended = (x: Tensor, block: Block, layer: number): Tensor => {
        const [T = 0] = x.shape;
        const qkv = reshape(project(block.qkv, normalise(x, block.norm1)), [T, heads, 3 * headDim]);
        const [q, k, v] = split(qkv, [headDim, headDim, headDim]).map((t) => reshape(t, [T, C])) as [
          Tensor,
          Tensor,
          Tensor,
        ];
        const [placedQ, placedK] = [rotate(q, inputs.positions), rotate(k, inputs.positions)];
        return project(block.output, look(layer, placedQ, placedK, v));
      };
      const mapped = (x: Tensor, block: Block): Tensor =>
        project(block.down, activate(project(block.up, normalise(x, block.norm2))));
      let x = checkpoint(gatherRows(embedding.tensor, inputs.tokens)); // [T, C]
      blocks.forEach((block, layer) => {
        const y = add(x, attended(x, block, layer));
        x = checkpoint(add(y, mapped(parallel ? x : y, block)));
      });
      return normalise(x, finalNorm);
    },
  };
}
