import { PrefgradError } from '../engine/errors.ts';
import { add, attention, checkpoint, gatherRows, layerNorm, split } from '../engine/index.ts';
import type { Tensor, Variable } from '../engine/index.ts';
import { readActivation } from './activation.ts';
import type { ConfigReader } from './config.ts';
import { applyDense } from './dense.ts';
import type { Attend, LanguageModel, ModelOptions } from './model.ts';
import { ParameterList } from './model.ts';

/** GPT-2 (Radford et al., 2019), as Transformers' GPT2LMHeadModel keeps it: Conv1D weights are [in, out]. */
export function gpt2(config: ConfigReader, { blocksOf }: ModelOptions): LanguageModel {
  const C = config.integer('n_embd');
  const layers = config.integer('n_layer');
  const heads = config.integer('n_head');
  if (C % heads !== 0) throw new PrefgradError(`config.json: n_head ${heads} does not divide n_embd ${C}`);
  const vocabSize = config.integer('vocab_size');
  const contextLength = config.integer('n_positions');
  const inner = config.integer('n_inner', 4 * C);
  const eps = config.number('layer_norm_epsilon', 1e-5);
  const activate = readActivation(config, 'activation_function', 'gelu_new');
  config.oneOf('scale_attn_weights', [true], true);
  config.oneOf('scale_attn_by_inverse_layer_idx', [false], false);
  config.oneOf('add_cross_attention', [false], false);

  const std = config.number('initializer_range', 0.02);
  const list = new ParameterList(std, blocksOf);
  const dense = (name: string, input: number, output: number, scale = std) =>
    list.dense(name, input, output, { conv1d: true, std: scale });
  const norm = (name: string) => ({
    weight: list.norm(`${name}.weight`, C),
    bias: list.bias(`${name}.bias`, C),
  });
  /** Projections onto the residual stream start smaller, by the number of additions to it. */
  const residualStd = std / Math.sqrt(2 * layers);
  const wte = list.matrix('transformer.wte.weight', [vocabSize, C]);
  const wpe = list.matrix('transformer.wpe.weight', [contextLength, C]);
  const blocks = Array.from({ length: layers }, (_, i) => {
    const name = `transformer.h.${i}`;
    return {
      norm1: norm(`${name}.ln_1`),
      qkv: dense(`${name}.attn.c_attn`, C, 3 * C),
      output: dense(`${name}.attn.c_proj`, C, C, residualStd),
      norm2: norm(`${name}.ln_2`),
      up: dense(`${name}.mlp.c_fc`, C, inner),
      down: dense(`${name}.mlp.c_proj`, inner, C, residualStd),
    };
  });
  const finalNorm = norm('transformer.ln_f');
  const head = config.boolean('tie_word_embeddings', true)
    ? wte
    : list.matrix('lm_head.weight', [vocabSize, C]);

  type Affine = { weight: Variable; bias: Variable };
  const normalise = (x: Tensor, { weight, bias }: Affine) => layerNorm(x, weight.tensor, bias.tensor, eps);
  const shape = { heads, kvHeads: heads, headDim: C / heads };

  return {
    type: 'gpt2',
    config: config.json,
    vocabSize,
    hiddenSize: C,
    contextLength,
    layers,
    attention: shape,
    parameters: list.parameters,
    linears: list.linears,
    constants: [],
    head,
    hidden(inputs, { attend, project = applyDense } = {}) {
      const look: Attend = attend ?? ((_, q, k, v) => attention(q, k, v, inputs.segments, shape));
      // [T, C]
      let x = checkpoint(
        add(gatherRows(wte.tensor, inputs.tokens), gatherRows(wpe.tensor, inputs.positions)),
      );
      blocks.forEach((block, layer) => {
        const [q, k, v] = split(project(block.qkv, normalise(x, block.norm1)), [C, C, C]) as [
          Tensor,
          Tensor,
          Tensor,
        ];
        x = add(x, project(block.output, look(layer, q, k, v)));
        x = checkpoint(add(x, project(block.down, activate(project(block.up, normalise(x, block.norm2))))));
      });
      return normalise(x, finalNorm);
    },
  };
}
