import { Tokenizer as TokenizersJs } from '@huggingface/tokenizers';
import { PrefgradError } from '../engine/errors.ts';
import { ChatTemplate, type ChatMessage, type ChatTemplateOptions } from './chatTemplate.ts';
import { isJsonObject, type JsonObject } from './files/json.ts';
import { withRustByteFallback } from './tokenizerByteFallback.ts';
import { adaptTokenizerJson } from './tokenizerJson.ts';
import { TokenStream } from './tokenizerStream.ts';

export interface TokenizerSource {
  /** The object in tokenizer.json. */
  readonly json: JsonObject;
  /** The object in tokenizer_config.json: special tokens by role, chat template. */
  readonly config?: JsonObject;
  /** The text of chat_template.jinja; it goes before the template in `config`. */
  readonly chatTemplate?: string;
  /** Ids for the roles that `config` leaves open, from config.json or generation_config.json. */
  readonly ids?: { readonly bos?: number; readonly eos?: number; readonly pad?: number };
  /** What an error calls it, e.g. the file's path. */
  readonly name?: string;
}

/**
 * Text to token ids and back, with a model's own vocabulary (byte-level BPE, SentencePiece-like BPE,
 * Unigram, WordPiece). Special tokens that stand in a text, such as `<|im_start|>`, become their ids.
 */
export class Tokenizer {
  /** As they were read, so that they can be saved again. */
  readonly json: JsonObject;
  readonly config: JsonObject;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** The highest id plus one: a model's embedding needs at least as many rows. */
  readonly vocabSize: number;
  /** The Jinja source of the chat template, where the model has one. */
  readonly chatTemplate: string | undefined;
  /** The text of chat_template.jinja, if the template came from there. */
  readonly chatTemplateFile: string | undefined;
  readonly #tokenizer: TokenizersJs;
  readonly #specialIds: ReadonlySet<number>;
  readonly #cleanUpSpaces: boolean;
  #template: ChatTemplate | undefined;

  /** Throws a PrefgradError for a tokenizer.json that is malformed or of an unknown kind. */
  constructor({ json, config = {}, chatTemplate, ids = {}, name = 'tokenizer.json' }: TokenizerSource) {
    this.json = json;
    this.config = config;
    const kind = isJsonObject(json.model) ? json.model.type : undefined;
    if (kind !== undefined && kind !== 'BPE' && kind !== 'Unigram' && kind !== 'WordPiece') {
      throw new PrefgradError(
        `${name}: is a tokenizer of the kind ${JSON.stringify(kind)}; read are BPE, Unigram and WordPiece`,
      );
    }
    try {
      this.#tokenizer = new TokenizersJs(adaptTokenizerJson(json), config);
      this.#tokenizer.decoder = withRustByteFallback(this.#tokenizer.decoder);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new PrefgradError(`${name}: is no tokenizer that can be read (${detail}); is the file whole?`);
    }
    this.#cleanUpSpaces = config.clean_up_tokenization_spaces === true;

    const special = new Set<number>();
    for (const [id, token] of this.#tokenizer.get_added_tokens_decoder()) if (token.special) special.add(id);
    this.#specialIds = special;
    let highest = -1;
    for (const id of this.#tokenizer.get_vocab().values()) highest = Math.max(highest, id);
    this.vocabSize = highest + 1;

    this.bosTokenId = this.#roleId('bos_token', ids.bos);
    this.eosTokenId = this.#roleId('eos_token', ids.eos);
    this.padTokenId = this.#roleId('pad_token', ids.pad);
    this.chatTemplateFile = chatTemplate;
    this.chatTemplate = chatTemplate ?? templateOf(config.chat_template);
  }

  /** The ids of a text. No BOS or EOS is added; special tokens written in the text become their ids. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** The text of ids; ids outside the vocabulary are left out, as are special tokens on request. */
  decode(
    ids: readonly number[],
    { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {},
  ): string {
    const known = ids.filter(
      (id) => this.idToToken(id) !== undefined && !(skipSpecialTokens && this.#specialIds.has(id)),
    );
    if (known.length === 0) return '';
    return this.#tokenizer.decode(known, { clean_up_tokenization_spaces: this.#cleanUpSpaces });
  }

  /** Decodes a completion token by token, never emitting part of a character. */
  stream({ skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}): TokenStream {
    return new TokenStream(
      (ids) => this.decode(ids),
      (id) => this.idToToken(id) === undefined || (skipSpecialTokens && this.#specialIds.has(id)),
    );
  }

  tokenToId(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.#tokenizer.id_to_token(id);
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** A conversation as the text its model was trained on; a model without a template is a PrefgradError. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    if (this.chatTemplate === undefined) {
      throw new PrefgradError(
        'the model has no chat template, so messages cannot be made a text; give plain prompts, or a model with a chat_template in tokenizer_config.json',
      );
    }
    this.#template ??= new ChatTemplate(this.chatTemplate, this.#namedTokens());
    return this.#template.render(messages, options);
  }

  #roleId(role: string, fallback: number | undefined): number | undefined {
    const token = tokenText(this.config[role]);
    return token === undefined ? fallback : (this.tokenToId(token) ?? fallback);
  }

  /** bos_token, eos_token, … as templates name them. */
  #namedTokens(): Record<string, string> {
    const named: Record<string, string> = {};
    for (const role of [
      'bos_token',
      'eos_token',
      'pad_token',
      'unk_token',
      'sep_token',
      'cls_token',
      'mask_token',
    ]) {
      const token = tokenText(this.config[role]);
      if (token !== undefined) named[role] = token;
    }
    return named;
  }
}

/** A special token is written as its text or as an object with the text under `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isJsonObject(value) && typeof value.content === 'string' ? value.content : undefined;
}

/** One template, or a list of named ones of which `default` counts. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  for (const entry of value) {
    if (isJsonObject(entry) && entry.name === 'default' && typeof entry.template === 'string')
      return entry.template;
  }
  return undefined;
}
