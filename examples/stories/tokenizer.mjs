// @ts-check
// node examples/stories/tokenizer.mjs    trains the tokenizer on the corpus's first stories, writes model/tokenizer.json
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CORPUS, corpus } from './generate.mjs';

export const VOCABULARY = 1024;
export const SPECIAL = ['<|endoftext|>', '<|pad|>'];
/** GPT-2's pattern: a text's pieces, inside which merges happen. */
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** GPT-2's printable stand-in for each byte: itself where it prints, else the next free character from U+0100. */
function byteAlphabet() {
  const prints = (/** @type {number} */ byte) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let free = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(prints(byte) ? byte : free++));
}

/**
 * Byte-level BPE (Sennrich et al., arXiv 1508.07909): the most frequent pair of neighbours is merged until the
 * vocabulary is full; of equally frequent pairs the first in code-unit order.
 * @param {Iterable<string>} texts
 * @param {number} vocabularySize special tokens and 256 bytes included
 * @returns {{ vocab: Record<string, number>, merges: [string, string][] }}
 */
export function trainBpe(texts, vocabularySize) {
  const alphabet = byteAlphabet();
  /** @type {Map<string, number>} */
  const pieces = new Map();
  for (const text of texts)
    for (const [piece] of text.matchAll(PIECES)) pieces.set(piece, (pieces.get(piece) ?? 0) + 1);
  const encoder = new TextEncoder();
  const words = Array.from(pieces, ([piece, count]) => ({
    count,
    symbols: Array.from(encoder.encode(piece), (byte) => alphabet[byte]),
  }));
  const tokens = [...SPECIAL, ...[...alphabet].sort()];
  /** @type {[string, string][]} */
  const merges = [];
  while (tokens.length < vocabularySize) {
    const best = mostFrequentPair(words);
    if (!best)
      throw new Error(`the corpus has pairs for ${tokens.length} tokens only, not for ${vocabularySize}`);
    merges.push(best);
    tokens.push(best[0] + best[1]);
    for (const word of words) word.symbols = merge(word.symbols, best);
  }
  return { vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

/** @param {{ count: number, symbols: string[] }[]} words @returns {[string, string] | undefined} */
function mostFrequentPair(words) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { count, symbols } of words)
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  let best = '';
  let most = 0;
  for (const [pair, count] of counts)
    if (count > most || (count === most && pair < best)) [best, most] = [pair, count];
  const [left, right] = best.split(' ');
  return most > 0 ? [left, right] : undefined;
}

/** @param {string[]} symbols @param {[string, string]} pair */
function merge(symbols, [left, right]) {
  const merged = [];
  for (let i = 0; i < symbols.length; i++) {
    const joins = symbols[i] === left && symbols[i + 1] === right;
    merged.push(joins ? left + right : symbols[i]);
    if (joins) i++;
  }
  return merged;
}

/** The trained tokenizer in the layout of Hugging Face's tokenizer.json. */
export function storyTokenizer() {
  const texts = Array.from(corpus({ ...CORPUS, stories: 10_000 }), ({ text }) => text);
  const { vocab, merges } = trainBpe(texts, VOCABULARY);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: merges.map((pair) => pair.join(' ')),
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(
    join(import.meta.dirname, 'model/tokenizer.json'),
    `${JSON.stringify(storyTokenizer(), null, 2)}\n`,
  );
