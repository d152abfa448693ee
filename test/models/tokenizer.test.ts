import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../models/files/ggufCursor.ts';
import { GgufMetadata } from '../../models/files/ggufMetadata.ts';
import { ggufTokenizer } from '../../models/files/ggufTokenizer.ts';
import type { JsonObject } from '../../models/files/json.ts';
import { Tokenizer } from '../../models/tokenizer.ts';
import { needsShared, shared } from '../shared.ts';

/** Made by fixtures/tokenizer/make.py with the Rust tokenizers and with SentencePiece. */
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/tokenizer/golden.json'), 'utf8'),
) as {
  byteLevel: {
    tokens: string[];
    types: number[];
    merges: string[];
    texts: string[];
    cases: { pre: string; ids: number[][]; decoded: string[] }[];
  };
  sentencePiece: {
    tokens: string[];
    scores: number[];
    types: number[];
    texts: string[];
    ids: number[][];
    decoded: string[];
  };
};

function fromMetadata(entries: Record<string, GgufValue>): Tokenizer {
  const values = Object.entries(entries).map(([key, value]) => [`tokenizer.ggml.${key}`, value] as const);
  const source = ggufTokenizer('model.gguf', new GgufMetadata('model.gguf', new Map(values)));
  if (source === undefined) throw new Error('no tokenizer');
  return new Tokenizer(source);
}

const byteLevel = (pre: string): Tokenizer => {
  const { tokens, types, merges } = golden.byteLevel;
  const ids = { bos_token_id: tokens.indexOf('<|turn|>'), eos_token_id: tokens.indexOf('<|end|>') };
  return fromMetadata({ model: 'gpt2', pre, tokens, merges, token_type: Int32Array.from(types), ...ids });
};

const sentencePiece = (extra: Record<string, GgufValue> = {}): Tokenizer => {
  const { tokens, types, scores } = golden.sentencePiece;
  return fromMetadata({
    model: 'llama',
    tokens,
    token_type: Int32Array.from(types),
    scores: Float32Array.from(scores),
    bos_token_id: 1,
    eos_token_id: 2,
    ...extra,
  });
};

describe('a tokenizer rebuilt from GGUF metadata', () => {
  it.each(golden.byteLevel.cases)('gives the ids of the Rust tokenizers: $pre', ({ pre, ids, decoded }) => {
    const tokenizer = byteLevel(pre);
    golden.byteLevel.texts.forEach((text, i) => {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids: ids[i] });
      expect(tokenizer.decode(ids[i], { skipSpecialTokens: true })).toBe(decoded[i]);
    });
    expect(tokenizer.vocabSize).toBe(golden.byteLevel.tokens.length);
    expect(tokenizer.encode('<|end|>')).toEqual([tokenizer.eosTokenId]);
    expect(tokenizer.bosTokenId).toBe(tokenizer.tokenToId('<|turn|>'));
  });

  it('gives the ids of SentencePiece', () => {
    const { texts, ids, decoded } = golden.sentencePiece;
    const tokenizer = sentencePiece();
    texts.forEach((text, i) => {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids: ids[i] });
      expect({ text, decoded: tokenizer.decode(ids[i]) }).toEqual({ text, decoded: decoded[i] });
    });
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([1, 2, undefined]);
    const bare = sentencePiece({ add_space_prefix: false });
    expect(bare.encode('x').length).toBe(tokenizer.encode('x').length - 1);
    expect(bare.decode(bare.encode(' x'))).toBe(' x');
  });

  it('says what is not known or does not fit', () => {
    expect(() => byteLevel('chameleon')).toThrow(/splits text as chameleon does; known are gpt-2, smollm/);
    expect(() => fromMetadata({ model: 'bert', tokens: [] })).toThrow(
      /of the kind bert; read are gpt2 and llama/,
    );
    expect(() => sentencePiece({ scores: Float32Array.of(1) })).toThrow(/420 tokens but 1 scores/);
    expect(() => sentencePiece({ token_type: Int32Array.of(1) })).toThrow(/420 tokens but 1 token types/);
    expect(() => fromMetadata({ model: 'gpt2', tokens: ['a'], merges: ['a'] })).toThrow(
      /has "a", expected two parts/,
    );
    expect(() => fromMetadata({ model: 'gpt2', tokens: 'a' })).toThrow(
      /tokens is a string, expected an array/,
    );
  });
});

describe('a text stream', () => {
  const streamed = (tokenizer: Tokenizer, ids: readonly number[], skipSpecialTokens: boolean): string[] => {
    const stream = tokenizer.stream({ skipSpecialTokens });
    return [...ids.map((id) => stream.push(id)), stream.end()];
  };

  it('joined is the text, and no piece has part of a character', () => {
    const tokenizers: [Tokenizer, number[][]][] = [
      [byteLevel('gpt-2'), golden.byteLevel.cases[0].ids],
      [sentencePiece(), golden.sentencePiece.ids],
    ];
    for (const [tokenizer, texts] of tokenizers) {
      let held = 0;
      for (const ids of texts) {
        for (const skipSpecialTokens of [true, false]) {
          const pieces = streamed(tokenizer, ids, skipSpecialTokens);
          expect(pieces.join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
          expect(pieces.join('')).not.toContain('\ufffd');
          held += pieces.filter((piece) => piece === '').length;
        }
      }
      expect(held).toBeGreaterThan(100);
    }
  });

  it('shows an unfinished character at the end, and is then empty', () => {
    const tokenizer = byteLevel('gpt-2');
    const ids = tokenizer.encode('﷽').slice(0, 2);
    const stream = tokenizer.stream();
    expect(ids.map((id) => stream.push(id))).toEqual(['', '']);
    expect(stream.end()).toBe('\ufffd');
    expect(stream.end()).toBe('');
  });

  it('skips ids outside the vocabulary', () => {
    expect(streamed(byteLevel('gpt-2'), [1e6, ...byteLevel('gpt-2').encode('a')], false).join('')).toBe('a');
    expect(byteLevel('gpt-2').decode([1e6])).toBe('');
  });
});

describe('a tokenizer', () => {
  const json = byteLevel('gpt-2').json;

  it('reads special tokens and templates in the forms they come in', () => {
    const config: JsonObject = {
      eos_token: { content: '<|end|>', lstrip: false },
      bos_token: '<absent>',
      chat_template: [
        { name: 'tool_use', template: 'tools' },
        {
          name: 'default',
          template:
            '{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}',
        },
      ],
    };
    const tokenizer = new Tokenizer({ json, config, ids: { bos: 5, eos: 6, pad: 7 } });
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([5, 0, 7]);
    const messages = [{ role: 'user', content: 'Hi' }];
    expect(tokenizer.applyChatTemplate(messages)).toBe('user: Hi<|end|>\n');
    expect(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })).toBe(
      'user: Hi<|end|>\nassistant:',
    );
    const own = new Tokenizer({
      json,
      config,
      chatTemplate: '{{ raise_exception("roles must alternate") }}',
    });
    expect(() => own.applyChatTemplate(messages)).toThrow(
      /refuses the messages with roles user: roles must alternate/,
    );
    expect(() => new Tokenizer({ json }).applyChatTemplate(messages)).toThrow(/has no chat template/);
    const broken = new Tokenizer({ json, chatTemplate: '{% for %}' });
    expect(() => broken.applyChatTemplate(messages)).toThrow(/not valid Jinja/);
  });

  it('refuses a file that is none', () => {
    expect(() => new Tokenizer({ json: {}, name: 'x/tokenizer.json' })).toThrow(
      /x\/tokenizer\.json: is no tokenizer/,
    );
    expect(() => new Tokenizer({ json: { model: { type: 'Magic', vocab: {} } } })).toThrow(
      /of the kind "Magic"/,
    );
  });
});

const folder = shared('fixtures/tokenizer');

describe.skipIf(folder === undefined)(`the tokenizer fixture ${needsShared}`, () => {
  const read = (file: string): unknown => JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'));

  it('gives the ids and texts of Transformers', () => {
    const cases = read('golden.json') as { text: string; ids: number[]; decoded: string }[];
    const tokenizer = new Tokenizer({
      json: read('tokenizer.json') as JsonObject,
      config: read('tokenizer_config.json') as JsonObject,
    });
    for (const { text, ids, decoded } of cases) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
    expect(tokenizer.vocabSize).toBe(512);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([0, 0, 1]);
  });
});
