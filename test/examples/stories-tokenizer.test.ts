import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { CORPUS, HELD_OUT, TRAINING, corpus, preferencePairs } from '../../examples/stories/generate.mjs';
import { SPECIAL, VOCABULARY, storyTokenizer, trainBpe } from '../../examples/stories/tokenizer.mjs';

const folder = join(import.meta.dirname, '../../examples/stories/model');
const read = (file: string) => readFileSync(join(folder, file), 'utf8');
const json = JSON.parse(read('tokenizer.json')) as { model: { vocab: Record<string, number> } };
const config = JSON.parse(read('config.json')) as Record<string, number>;
const tokenizer = new Tokenizer(json, JSON.parse(read('tokenizer_config.json')) as object);
const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const stories = Array.from(corpus({ ...CORPUS, stories: 1000, seed: 9 }), ({ text }) => text);

describe('trainBpe', () => {
  it('merges the most frequent neighbours first, the first in order of equally frequent ones', () => {
    const { vocab, merges } = trainBpe(['xy aab\nxy\naab\nxy'], 258 + 3);
    expect(merges).toEqual([
      ['x', 'y'],
      ['a', 'a'],
      ['aa', 'b'],
    ]);
    expect(Object.keys(vocab).length).toBe(261);
    expect(vocab['aab']).toBe(260);
  });

  it('says so when the corpus has too few pairs', () => {
    expect(() => trainBpe(['ab'], 300)).toThrow('the corpus has pairs for 259 tokens only, not for 300');
  });
});

describe("the stories' tokenizer", () => {
  it('is what tokenizer.mjs trains from the corpus', () => {
    expect(read('tokenizer.json')).toBe(`${JSON.stringify(storyTokenizer(), null, 2)}\n`);
  });

  it('has ids 0 to 1023 once each, the special tokens first, and as many as config.json says', () => {
    const ids = Object.values(json.model.vocab).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: VOCABULARY }, (_, id) => id));
    expect(SPECIAL.map((token) => tokenizer.token_to_id(token))).toEqual([0, 1]);
    expect(config['vocab_size']).toBe(VOCABULARY);
    expect(SPECIAL[config['eos_token_id'] ?? -1]).toBe('<|endoftext|>');
    expect(SPECIAL[config['pad_token_id'] ?? -1]).toBe('<|pad|>');
  });

  it('gives every story and any other text back', () => {
    const texts = [...stories, 'Grüße, 東京! 🙂\tx\n\n  9'];
    expect(texts.map((text) => tokenizer.decode(encode(text)))).toEqual(texts);
  });

  it('cuts a story into 25 to 110 tokens, mostly 55 to 90', () => {
    const lengths = stories
      .slice(0, 400)
      .map((text) => encode(text).length)
      .sort((a, b) => a - b);
    expect(lengths[200]).toBeGreaterThanOrEqual(55);
    expect(lengths[360]).toBeLessThanOrEqual(90);
    expect(lengths[0]).toBeGreaterThanOrEqual(25);
    expect(lengths[399]).toBeLessThanOrEqual(110);
  });

  it('cuts prompt + completion where the prompt ends, so that both can be tokenised apart; all fit the model', () => {
    const training = preferencePairs({ ...TRAINING, pairs: 200 }, false);
    for (const { pair } of [...training, ...preferencePairs(HELD_OUT, true)])
      for (const completion of [pair.chosen, pair.rejected]) {
        const whole = encode(pair.prompt + completion);
        expect(whole).toEqual([...encode(pair.prompt), ...encode(completion)]);
        expect(whole.length + 1).toBeLessThanOrEqual(config['n_positions'] ?? 0);
      }
  });
});
