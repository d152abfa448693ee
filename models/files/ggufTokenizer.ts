import { PrefgradError } from '../../engine/errors.ts';
import { isolate } from '../tokenizerJson.ts';
import type { GgufMetadata } from './ggufMetadata.ts';
import type { JsonObject } from './json.ts';
import { mergesFromScores } from './sentencePieceMerges.ts';

/** llama.cpp's token types. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;
const BYTE = 6;

/** A token of the vocabulary; its id is its place. */
interface Token {
  readonly text: string;
  readonly type: number;
}

const byteLevel: JsonObject = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};
const gpt2Bytes: JsonObject = { ...byteLevel, use_regex: true };

/** The split of GPT-4's kind, with the longest run of digits that stays together. */
const wordSplit = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** What tokenizer.json says for each of llama.cpp's names of a pre-tokenizer. */
const preTokenizers: Readonly<
  Record<string, { preTokenizer: JsonObject; normalizer?: JsonObject; wholeWords?: boolean }>
> = {
  'gpt-2': { preTokenizer: gpt2Bytes },
  smollm: { preTokenizer: sequence([{ type: 'Digits', individual_digits: true }, gpt2Bytes]) },
  qwen2: { preTokenizer: sequence([isolate(wordSplit('\\p{N}')), byteLevel]), normalizer: { type: 'NFC' } },
  'llama-bpe': { preTokenizer: sequence([isolate(wordSplit('\\p{N}{1,3}')), byteLevel]), wholeWords: true },
};

/**
 * tokenizer.json and tokenizer_config.json rebuilt from a GGUF file's metadata; undefined for a file
 * without a tokenizer. A kind that is not known here is a PrefgradError.
 */
export function ggufTokenizer(
  file: string,
  metadata: GgufMetadata,
): { json: JsonObject; config: JsonObject } | undefined {
  const model = metadata.optionalString('tokenizer.ggml.model');
  if (model === undefined || model === 'none' || model === 'no_vocab') return undefined;
  const tokens = readTokens(file, metadata);
  if (model === 'gpt2')
    return { json: byteLevelBpe(file, metadata, tokens), config: config(metadata, tokens, false) };
  if (model === 'llama')
    return { json: sentencePieceBpe(file, metadata, tokens), config: config(metadata, tokens, true) };
  throw new PrefgradError(`${file}: has a tokenizer of the kind ${model}; read are gpt2 and llama`);
}

function readTokens(file: string, metadata: GgufMetadata): Token[] {
  const texts = metadata.strings('tokenizer.ggml.tokens');
  const types = metadata.optionalNumbers('tokenizer.ggml.token_type');
  if (types !== undefined && types.length !== texts.length) {
    throw new PrefgradError(
      `${file}: has ${texts.length} tokens but ${types.length} token types; is the file whole?`,
    );
  }
  return texts.map((text, id) => ({ text, type: types?.[id] ?? 1 }));
}

function byteLevelBpe(file: string, metadata: GgufMetadata, tokens: readonly Token[]): JsonObject {
  const pre = metadata.optionalString('tokenizer.ggml.pre') ?? 'gpt-2';
  if (!Object.hasOwn(preTokenizers, pre)) {
    throw new PrefgradError(
      `${file}: splits text as ${pre} does; known are ${Object.keys(preTokenizers).join(', ')}`,
    );
  }
  const { preTokenizer, normalizer, wholeWords = false } = preTokenizers[pre];
  const merges = metadata.strings('tokenizer.ggml.merges').map((merge) => {
    const space = merge.indexOf(' ', 1); // a merged part is never empty
    if (space < 0)
      throw new PrefgradError(
        `${file}: tokenizer.ggml.merges has ${JSON.stringify(merge)}, expected two parts`,
      );
    return [merge.slice(0, space), merge.slice(space + 1)];
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens),
    normalizer: normalizer ?? null,
    pre_tokenizer: preTokenizer,
    post_processor: postProcessor(metadata, tokens, pre === 'llama-bpe'),
    decoder: gpt2Bytes,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: wholeWords,
      vocab: vocabulary(tokens.map((token, id) => ({ ...token, id })).filter(({ type }) => type !== UNUSED)),
      merges,
    },
  };
}

/** SentencePiece's BPE as the Rust library has it: merges by score, unknown characters as byte tokens. */
function sentencePieceBpe(file: string, metadata: GgufMetadata, tokens: readonly Token[]): JsonObject {
  const scores = metadata.optionalNumbers('tokenizer.ggml.scores');
  if (scores?.length !== tokens.length) {
    throw new PrefgradError(
      `${file}: has ${tokens.length} tokens but ${scores?.length ?? 0} scores; is the file whole?`,
    );
  }
  const space = '\u2581';
  const prefix = metadata.optionalBoolean('tokenizer.ggml.add_space_prefix') ?? true;
  const prepend = prefix ? [{ type: 'Prepend', prepend: space }] : [];
  const strip = prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [];
  const mergeable = (id: number) => ![UNKNOWN, CONTROL, UNUSED, BYTE].includes(tokens[id].type);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens),
    normalizer: {
      type: 'Sequence',
      normalizers: [...prepend, { type: 'Replace', pattern: { String: ' ' }, content: space }],
    },
    pre_tokenizer: null,
    post_processor: postProcessor(metadata, tokens, true),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: space }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...strip,
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: tokens.find(({ type }) => type === UNKNOWN)?.text ?? null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: vocabulary(tokens.map((token, id) => ({ ...token, id }))),
      merges: mergesFromScores(
        tokens.map(({ text }) => text),
        scores,
        mergeable,
      ),
    },
  };
}

function vocabulary(tokens: readonly (Token & { readonly id: number })[]): Record<string, number> {
  return Object.fromEntries(tokens.map(({ text, id }) => [text, id]));
}

/** Tokens that are found in a text before it is split; control tokens are special ones. */
function addedTokens(tokens: readonly Token[]): JsonObject[] {
  return tokens.flatMap(({ text, type }, id) =>
    type === CONTROL || type === USER_DEFINED || type === UNKNOWN
      ? [
          {
            id,
            content: text,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: type !== USER_DEFINED,
          },
        ]
      : [],
  );
}

/** BOS and EOS that other programs add when they encode with special tokens. */
function postProcessor(
  metadata: GgufMetadata,
  tokens: readonly Token[],
  bosByDefault: boolean,
): JsonObject | null {
  const token = (role: 'bos' | 'eos', byDefault: boolean) => {
    const id = metadata.optionalNumber(`tokenizer.ggml.${role}_token_id`);
    const wanted = metadata.optionalBoolean(`tokenizer.ggml.add_${role}_token`) ?? byDefault;
    return wanted && id !== undefined && tokens[id] !== undefined ? [{ id, text: tokens[id].text }] : [];
  };
  const [bos, eos] = [token('bos', bosByDefault), token('eos', false)];
  if (bos.length + eos.length === 0) return null;
  const around = (of: 'A' | 'B', type: number) => [
    ...bos.map(({ text }) => ({ SpecialToken: { id: text, type_id: type } })),
    { Sequence: { id: of, type_id: type } },
    ...eos.map(({ text }) => ({ SpecialToken: { id: text, type_id: type } })),
  ];
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(
      [...bos, ...eos].map(({ id, text }) => [text, { id: text, ids: [id], tokens: [text] }]),
    ),
  };
}

function config(metadata: GgufMetadata, tokens: readonly Token[], bosByDefault: boolean): JsonObject {
  const text = (role: string) => {
    const id = metadata.optionalNumber(`tokenizer.ggml.${role}_token_id`);
    return id === undefined ? undefined : tokens[id]?.text;
  };
  const entries = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: text('bos'),
    eos_token: text('eos'),
    pad_token: text('padding'),
    unk_token: text('unknown') ?? tokens.find(({ type }) => type === UNKNOWN)?.text,
    add_bos_token: metadata.optionalBoolean('tokenizer.ggml.add_bos_token') ?? bosByDefault,
    clean_up_tokenization_spaces: false,
    chat_template: metadata.optionalString('tokenizer.chat_template'),
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

function sequence(pretokenizers: readonly JsonObject[]): JsonObject {
  return { type: 'Sequence', pretokenizers };
}
