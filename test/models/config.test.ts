import { describe, expect, it } from 'vitest';
import type { LanguageModel } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';

/** Keys that every one of these families has. */
const small = {
  vocab_size: 11,
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 20,
  max_position_embeddings: 64,
};
const model = (config: Record<string, unknown>) => createModel({ ...small, ...config });
const shapes = ({ parameters }: LanguageModel) =>
  Object.fromEntries(parameters.map(({ variable }) => [variable.name, variable.type.shape]));
const attention = 'model.layers.1.self_attn';

describe('what a config.json leaves out is as Transformers has it', () => {
  it('key-value heads and head sizes', () => {
    expect(model({ model_type: 'llama' }).attention).toEqual({ heads: 4, kvHeads: 4, headDim: 6 });
    const eight = { model_type: 'mistral', hidden_size: 32, num_attention_heads: 16 };
    expect(model(eight).attention).toEqual({ heads: 16, kvHeads: 8, headDim: 2 });
    expect(model({ ...eight, num_key_value_heads: null }).attention.kvHeads).toBe(16);
    expect(model({ model_type: 'qwen3', num_key_value_heads: 2 }).attention.headDim).toBe(128);
    expect(() => model({ model_type: 'qwen2' })).toThrow(/4 attention heads cannot share 32/);
  });

  it('biases', () => {
    const has = (config: Record<string, unknown>) =>
      ['q_proj', 'o_proj'].map((name) => `${attention}.${name}.bias` in shapes(model(config)));
    expect(has({ model_type: 'llama' })).toEqual([false, false]);
    expect(has({ model_type: 'llama', attention_bias: true })).toEqual([true, true]);
    expect(has({ model_type: 'mistral', num_key_value_heads: 2, attention_bias: true })).toEqual([
      false,
      false,
    ]);
    expect(has({ model_type: 'qwen2', num_key_value_heads: 2 })).toEqual([true, false]);
    expect(has({ model_type: 'qwen3', num_key_value_heads: 2 })).toEqual([false, false]);
    expect('model.layers.0.mlp.up_proj.bias' in shapes(model({ model_type: 'llama', mlp_bias: true }))).toBe(
      true,
    );
    const qkv = 'gpt_neox.layers.0.attention.query_key_value.bias';
    expect(shapes(model({ model_type: 'gpt_neox' }))[qkv]).toEqual([72]);
    expect(qkv in shapes(model({ model_type: 'gpt_neox', attention_bias: false }))).toBe(false);
  });

  it('heads of their own, unless they are tied', () => {
    expect('lm_head.weight' in shapes(model({ model_type: 'llama' }))).toBe(true);
    expect('embed_out.weight' in shapes(model({ model_type: 'gpt_neox' }))).toBe(true);
    expect('embed_out.weight' in shapes(model({ model_type: 'gpt_neox', tie_word_embeddings: true }))).toBe(
      false,
    );
  });
});

describe('what would be another model is refused by name', () => {
  const kv = { num_key_value_heads: 2 };
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'a model',
      { model_type: 'gemma' },
      /model_type "gemma" is not supported; supported: gpt2, gpt_neox, llama, mistral/,
    ],
    ['a name that objects have', { model_type: 'toString' }, /model_type "toString" is not supported/],
    [
      'a scaling',
      { model_type: 'llama', rope_scaling: { rope_type: 'longrope' } },
      /rope_type "longrope" is not supported; supported: "default", "linear", "dynamic", "llama3", "yarn"/,
    ],
    ['an old scaling', { model_type: 'llama', rope_scaling: { type: 'su' } }, /type "su" is not supported/],
    [
      'half a scaling',
      { model_type: 'llama', rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1 } },
      /rope_type "llama3" needs high_freq_factor/,
    ],
    [
      'scalings by layer',
      { model_type: 'qwen3', ...kv, rope_parameters: { full_attention: { rope_type: 'default' } } },
      /other values for full_attention layers/,
    ],
    [
      'a part of the head where the family turns all',
      { model_type: 'llama', partial_rotary_factor: 0.5 },
      /partial_rotary_factor 0.5 is not supported for llama/,
    ],
    [
      'a layer',
      { model_type: 'qwen2', ...kv, layer_types: ['chunked_attention'] },
      /layer_types \["chunked_attention"\]/,
    ],
    [
      'an activation',
      { model_type: 'gpt_neox', hidden_act: 'mish' },
      /hidden_act "mish" is not supported; supported: "gelu"/,
    ],
    [
      'an activation of Llama',
      { model_type: 'llama', hidden_act: 'gelu' },
      /hidden_act "gelu" is not supported/,
    ],
    [
      'an odd head',
      { model_type: 'llama', head_dim: 7 },
      /a head of 7 has 7 values to rotate; expected an even number/,
    ],
  ])('%s', (_, config, message) => {
    expect(() => model(config)).toThrow(message);
  });
});

describe('a sliding window ends the context where it would hide something', () => {
  const context = (config: Record<string, unknown>) =>
    model({ num_key_value_heads: 2, ...config }).contextLength;
  it('of Mistral', () => {
    expect(context({ model_type: 'mistral', max_position_embeddings: 32768 })).toBe(4096);
    expect(context({ model_type: 'mistral', max_position_embeddings: 32768, sliding_window: null })).toBe(
      32768,
    );
    expect(context({ model_type: 'mistral', sliding_window: 16 })).toBe(16);
    expect(context({ model_type: 'mistral', sliding_window: 128 })).toBe(64);
  });

  it.each(['qwen2', 'qwen3'])('of %s, if a layer has it', (type) => {
    const used = { model_type: type, use_sliding_window: true, sliding_window: 16 };
    expect(context({ ...used, use_sliding_window: false })).toBe(64);
    expect(context(used)).toBe(64); // max_window_layers is 28
    expect(context({ ...used, max_window_layers: 1 })).toBe(16);
    expect(context({ ...used, max_window_layers: 2 })).toBe(64);
    expect(context({ ...used, layer_types: ['full_attention', 'sliding_attention'] })).toBe(16);
    expect(
      context({ ...used, max_window_layers: 0, layer_types: ['full_attention', 'full_attention'] }),
    ).toBe(64);
    expect(context({ ...used, max_window_layers: 0, sliding_window: null })).toBe(64);
  });
});
