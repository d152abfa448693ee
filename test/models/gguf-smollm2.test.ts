import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openModelFiles } from '../../models/files/open.ts';
import { fetched, needsFetched, needsShared, shared } from '../shared.ts';

/** Token ids and greedy answers of Transformers. */
interface Golden {
  readonly texts: readonly { text: string; ids: number[] }[];
  readonly chat: readonly {
    question: string;
    prompt: string;
    ids: number[];
    greedy: number[];
    text: string;
  }[];
}

const path = fetched('SmolLM2-135M-Instruct.Q4_1.gguf') ?? '';
const golden = shared('fixtures/smollm2/golden.json');
const absent = golden === undefined || path === '';

describe.skipIf(absent)(`SmolLM2-135M-Instruct as GGUF ${needsFetched} ${needsShared}`, () => {
  it('has the configuration and tensors of its Hugging Face folder', async () => {
    const model = await openModelFiles(path);
    expect(model.config).toMatchObject({
      architectures: ['LlamaForCausalLM'],
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      head_dim: 64,
      vocab_size: 49152,
      rope_theta: 100000,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 8192,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    });
    expect(model.tensorNames().length).toBe(2 + 30 * 9);
    let values = 0;
    let largest = 0;
    for (const tensor of model.tensorNames()) {
      const read = await model.read(tensor);
      values += read.length;
      expect(read.length).toBe(model.shape(tensor).reduce((a, b) => a * b, 1));
      for (const value of read) largest = Math.max(largest, Math.abs(value));
    }
    expect(values).toBe(134_515_008);
    expect(largest).toBeLessThan(100);
    await model.close();
  });

  it('has the tokenizer of Transformers', async () => {
    const model = await openModelFiles(path);
    const { texts, chat } = JSON.parse(readFileSync(golden ?? '', 'utf8')) as Golden;
    for (const { text, ids } of texts) expect(model.tokenizer?.encode(text)).toEqual(ids);
    for (const { question, prompt, ids, greedy, text } of chat) {
      const messages = [{ role: 'user', content: question }];
      expect(model.tokenizer?.applyChatTemplate(messages, { addGenerationPrompt: true })).toBe(prompt);
      expect(model.tokenizer?.encode(prompt)).toEqual(ids);
      expect(model.tokenizer?.decode(greedy, { skipSpecialTokens: true })).toBe(text);
      expect(model.tokenizer?.decode(ids)).toBe(prompt);
    }
    expect([model.tokenizer?.bosTokenId, model.tokenizer?.eosTokenId, model.tokenizer?.padTokenId]).toEqual([
      1, 2, 2,
    ]);
    await model.close();
  });
});
