import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { openGguf } from '../../models/files/gguf.ts';
import { openGgufModel } from '../../models/files/ggufModel.ts';
import { openModelBlobs } from '../../models/files/open.ts';
import { fitLlama3Scaling } from '../../models/files/ropeFactors.ts';
import { memorySource } from '../../models/files/source.ts';
import { openFileSource } from '../../models/files/source.node.ts';
import { createModel } from '../../models/registry.ts';

/** Made by fixtures/gguf/make.py with llama.cpp's own Python package. */
const fixture = (file: string) => join(import.meta.dirname, '../fixtures/gguf', file);

describe('gguf', () => {
  it('reads every metadata type', async () => {
    const file = await openGguf(await openFileSource(fixture('types.gguf')));
    const values = Object.fromEntries(
      file.metadata.keys().map((key) => {
        const value = file.metadata.get(key);
        return [key, ArrayBuffer.isView(value) ? Array.from(value, Number) : value];
      }),
    );
    expect(values).toEqual({
      'general.architecture': 'llama',
      'test.uint8': 200,
      'test.int8': -100,
      'test.uint16': 60000,
      'test.int16': -30000,
      'test.uint32': 4000000000,
      'test.int32': -2000000000,
      'test.uint64': 2n ** 63n + 5n,
      'test.int64': -(2n ** 62n),
      'test.float32': Math.fround(0.1),
      'test.float64': 0.1,
      'test.bool': true,
      'test.string': '\ufeffnaïve 🙂',
      'test.strings': ['', 'a', '▁ß'],
      'test.integers': [1, -2, 3],
      'test.floats': [0.5, -1.25],
      'test.booleans': [1, 0],
    });
    expect(() => file.metadata.strings('test.string')).toThrow(
      /test\.string is a string, expected an array of strings/,
    );
    expect(() => file.metadata.count('test.int8')).toThrow(/test\.int8 is -100, expected a positive integer/);
    expect(() => file.metadata.number('test.absent')).toThrow(/has no metadata test\.absent/);
    await file.close();
  });

  it('dequantizes every storage type to the bit', async () => {
    const file = await openGguf(await openFileSource(fixture('types.gguf')));
    const expected = new Float32Array(new Uint8Array(readFileSync(fixture('types.f32'))).buffer);
    let offset = 0;
    for (const [name, { shape }] of file.tensors) {
      const values = await file.read(name);
      expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
      expect([name, ...values]).toEqual([name, ...expected.subarray(offset, offset + values.length)]);
      offset += values.length;
    }
    expect(offset).toBe(expected.length);
    expect([...file.tensors.values()].map(({ type }) => type)).toEqual([
      'F32',
      'F16',
      'BF16',
      'Q8_0',
      'Q4_0',
      'Q4_1',
      'Q5_0',
      'Q5_1',
      'Q4_K',
      'Q5_K',
      'Q6_K',
    ]);
    await file.close();
  });

  it.each(['llama', 'qwen2', 'gpt2', 'qwen3', 'gptneox'])(
    'gives a %s model in the layout of Hugging Face',
    async (architecture) => {
      const model = await openGgufModel(await openFileSource(fixture(`${architecture}.gguf`)));
      const expected = JSON.parse(readFileSync(fixture(`${architecture}.json`), 'utf8')) as Record<
        string,
        { shape: number[]; values: number[] }
      >;
      expect(model.tensorNames().sort()).toEqual(Object.keys(expected).sort());
      for (const [name, { shape, values }] of Object.entries(expected)) {
        expect([name, ...model.shape(name)]).toEqual([name, ...shape]);
        expect([name, ...(await model.read(name))]).toEqual([name, ...values]);
      }
      const described = createModel(model.config).parameters.map((p) => p.variable.name);
      expect(described.sort()).toEqual(Object.keys(expected).sort());
      expect(() => model.shape('model.norms.weight')).toThrow(/has no tensor model\.norms\.weight/);
      await model.close();
    },
  );

  it('gives the configuration of each architecture', async () => {
    const config = async (architecture: string) => {
      const model = await openGgufModel(await openFileSource(fixture(`${architecture}.gguf`)));
      await model.close();
      return model.config;
    };
    const shared = {
      hidden_act: 'silu',
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 4,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-6,
      rope_theta: 1e8,
      vocab_size: 12,
      torch_dtype: 'float32',
    };
    expect(await config('llama')).toEqual({
      ...shared,
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
    });
    expect(await config('qwen2')).toEqual({
      ...shared,
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      tie_word_embeddings: false,
    });
    expect(await config('qwen3')).toEqual({
      ...shared,
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      head_dim: 6,
      attention_bias: false,
      tie_word_embeddings: true,
    });
    expect(await config('gptneox')).toEqual({
      architectures: ['GPTNeoXForCausalLM'],
      model_type: 'gpt_neox',
      hidden_act: 'gelu',
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      max_position_embeddings: 64,
      layer_norm_eps: 1e-5,
      rotary_pct: 0.5,
      rotary_emb_base: 10000,
      use_parallel_residual: false,
      tie_word_embeddings: false,
      vocab_size: 12,
      torch_dtype: 'float32',
    });
    expect(await config('gpt2')).toEqual({
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      activation_function: 'gelu_new',
      layer_norm_epsilon: 1e-5,
      n_embd: 16,
      n_head: 4,
      n_inner: 32,
      n_layer: 1,
      n_positions: 64,
      vocab_size: 12,
      tie_word_embeddings: true, // the repeated output tensor is recognised
      torch_dtype: 'float32',
    });
  });

  it('rebuilds a SentencePiece tokenizer', async () => {
    const blob = new Blob([readFileSync(fixture('llama.gguf'))]);
    const { tokenizer } = await openModelBlobs('picked', [{ name: 'llama.gguf', blob }]);
    // "▁ab" is the best merge that is reachable: a+b (−1), then ▁+ab (−2).
    expect(tokenizer?.encode('ab')).toEqual([10]);
    expect(tokenizer?.encode('aab')).toEqual([6, 7, 9]);
    expect(tokenizer?.encode('ab<|x|>ß')).toEqual([10, 11, 6, 4, 5]);
    expect(tokenizer?.decode([1, 10, 11, 6, 4, 5], { skipSpecialTokens: true })).toBe('ab<|x|> ß');
    expect(tokenizer?.isSpecial(11)).toBe(false);
  });
});

describe('llama 3 rotary scaling', () => {
  /** The divisors that convert_hf_to_gguf.py stores. */
  function factors(
    theta: number,
    headDim: number,
    factor: number,
    low: number,
    high: number,
    original: number,
  ) {
    return Float32Array.from({ length: headDim / 2 }, (_, i) => {
      const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
      if (wavelength < original / high) return 1;
      if (wavelength > original / low) return factor;
      const smooth = (original / wavelength - low) / (high - low);
      return 1 / ((1 - smooth) / factor + smooth);
    });
  }

  it.each([
    ['Llama 3.1 8B', 500000, 128, 8, 1, 4, 8192],
    ['Llama 3.2 1B', 500000, 64, 32, 1, 4, 8192],
    ['one with a short original context', 10000, 64, 4, 1, 2.5, 1024],
  ])('is recovered for %s', (_, theta, headDim, factor, low, high, original) => {
    const scaling = fitLlama3Scaling('m.gguf', factors(theta, headDim, factor, low, high, original), {
      theta,
      headDim,
    });
    expect(scaling).toEqual({
      rope_type: 'llama3',
      factor,
      low_freq_factor: low,
      high_freq_factor: high,
      original_max_position_embeddings: original,
    });
  });

  it('refuses factors of another kind', () => {
    const rope = { theta: 10000, headDim: 8 };
    expect(() => fitLlama3Scaling('m.gguf', Float32Array.of(1, 3, 2, 5), rope)).toThrow(/not Llama 3's/);
    expect(() => fitLlama3Scaling('m.gguf', Float32Array.of(1, 3, 2), rope)).toThrow(
      /has 3 values, expected half/,
    );
  });
});

describe('a gguf file that is not right', () => {
  const whole = () => new Uint8Array(readFileSync(fixture('types.gguf')));
  const changed = (change: (view: DataView, bytes: Uint8Array) => void) => {
    const bytes = whole();
    change(new DataView(bytes.buffer), bytes);
    return bytes;
  };
  /** The position just after the first occurrence of a text. */
  const after = (bytes: Uint8Array, text: string) => Buffer.from(bytes.buffer).indexOf(text) + text.length;

  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /0 are left; the file is truncated/],
    ['another format', changed((view) => view.setUint8(0, 0x50)), /does not start with GGUF/],
    ['version 1', changed((view) => view.setUint32(4, 1, true)), /has version 1, read are 2 and 3/],
    ['big-endian', changed((view) => view.setUint32(4, 3, false)), /stored big-endian/],
    [
      'too many tensors',
      changed((view) => view.setBigUint64(8, 2n ** 40n, true)),
      /1099511627776 tensors cannot fit/,
    ],
    [
      'a count beyond 2^53',
      changed((view) => view.setBigUint64(8, 2n ** 63n, true)),
      /number of tensors is 9223372036854775808/,
    ],
    [
      'too many entries',
      changed((view) => view.setBigUint64(16, 1000n, true)),
      /1000 metadata entries cannot fit/,
    ],
    [
      'a long string',
      changed((view, b) => view.setBigUint64(after(b, 'test.string') + 4, 2n ** 50n, true)),
      /test\.string needs 1125899906842624 bytes/,
    ],
    [
      'a long array',
      changed((view, b) => view.setBigUint64(after(b, 'test.floats') + 8, 10000n, true)),
      /test\.floats needs 40000 bytes/,
    ],
    [
      'an array of arrays',
      changed((view, b) => view.setUint32(after(b, 'test.floats') + 4, 9, true)),
      /test\.floats has the type 9/,
    ],
    [
      'a boolean of 2',
      changed((view, b) => view.setUint8(after(b, 'test.bool') + 4, 2)),
      /test\.bool is no boolean/,
    ],
    [
      'five dimensions',
      changed((view, b) => view.setUint32(after(b, 'q8_0'), 5, true)),
      /q8_0 has 5 dimensions/,
    ],
    [
      'rows that are no whole blocks',
      changed((view, b) => view.setBigUint64(after(b, 'q8_0') + 4, 97n, true)),
      /rows of 97 values, not a multiple of Q8_0's block of 32/,
    ],
    [
      'a tensor too large',
      changed((view, b) => view.setBigUint64(after(b, 'q8_0') + 12, 2n ** 52n, true)),
      /q8_0 \[4503599627370496, 96\] needs bytes/,
    ],
    [
      'a type that is not read',
      changed((view, b) => view.setUint32(after(b, 'q8_0') + 20, 10, true)),
      /stored as Q2_K, which is not read here/,
    ],
    [
      'a type that nobody knows',
      changed((view, b) => view.setUint32(after(b, 'q8_0') + 20, 99, true)),
      /stored as number 99/,
    ],
    [
      'tensors that overlap',
      changed((view, b) => view.setBigUint64(after(b, 'q8_0') + 24, 0n, true)),
      /overlap/,
    ],
    [
      'a tensor out of line',
      changed((view, b) => view.setBigUint64(after(b, 'q8_0') + 24, 8n, true)),
      /not a multiple of the alignment/,
    ],
    [
      'a tensor twice',
      changed((_, b) => b.set(new TextEncoder().encode('q4_0'), after(b, 'q4_1') - 4)),
      /q4_0 is listed twice/,
    ],
    ['a file cut short', whole().slice(0, -100), /truncated or damaged: tensor q6_k/],
  ];
  it.each(cases)('says so: %s', async (_, bytes, message) => {
    const failure: unknown = await openGguf(memorySource('model.gguf', bytes)).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(PrefgradError);
    expect(String(failure)).toMatch(message);
    expect(String(failure)).toMatch(/model\.gguf/);
  });
});
