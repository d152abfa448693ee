import { isJsonObject, type JsonObject } from './files/json.ts';

/** GPT-2's split, as the Rust tokenizers' ByteLevel has it. */
export const GPT2_SPLIT =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * tokenizer.json as `@huggingface/tokenizers` needs it to give the ids that the Rust library gives. Its
 * Split follows the Rust regular expressions exactly, but its ByteLevel and Digits use JavaScript's own
 * idea of white space (which counts U+FEFF, not U+0085) and of digits (ASCII alone): they become Splits.
 */
export function adaptTokenizerJson(json: JsonObject): JsonObject {
  return {
    normalizer: null,
    post_processor: null,
    decoder: null,
    ...json,
    added_tokens: json.added_tokens ?? [],
    pre_tokenizer: adaptPreTokenizer(json.pre_tokenizer ?? null),
  };
}

function adaptPreTokenizer(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  switch (value.type) {
    case 'Sequence':
      return Array.isArray(value.pretokenizers)
        ? { ...value, pretokenizers: value.pretokenizers.map(adaptPreTokenizer) }
        : value;
    case 'ByteLevel':
      // With a prefix space the split must come after the space is added, inside ByteLevel.
      return value.use_regex === false || value.add_prefix_space === true
        ? value
        : { type: 'Sequence', pretokenizers: [isolate(GPT2_SPLIT), { ...value, use_regex: false }] };
    case 'Digits':
      return isolate(value.individual_digits === true ? '\\p{N}' : '\\p{N}+');
    default:
      return value;
  }
}

/** A pre-tokenizer that makes each match of a pattern a piece of its own. */
export function isolate(pattern: string): JsonObject {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}
