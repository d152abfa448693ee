import { encodeRow, type Encoded, type TextTokenizer } from './encode.ts';
import { klPartners, klRemarks } from './kl.ts';
import { noNotes } from './rows.ts';
import type { CompletionRow, Content, Notes, PairRow, Row, Rows, UnpairedRow } from './rows.ts';
import { runStage, type Stage } from './stage.ts';
import type {
  TokenizedCompletion,
  TokenizedPair,
  TokenizedRow,
  TokenizedSingle,
  TokenizedUnpaired,
} from './tokenized.ts';
import { cutCompletion, cutPrompt, type Limits } from './truncate.ts';
import { PrefgradError } from '../../engine/errors.ts';

export interface TokenizeOptions {
  /** Prompt and completion together, in tokens; null for no limit. */
  maxLength: number | null;
  /** `keep_start` cuts completions from their end, `keep_completion` prompts from their left. */
  truncation?: 'keep_start' | 'keep_completion';
  /** Puts the tokenizer's BOS before prompts that do not begin with it. */
  addBos?: boolean;
  /** Rows a batch, to give every row a KL completion (KTO, and HPO on it). */
  klBatchSize?: number;
  /** Whether rows keep their texts, which rewards and evaluations read; by default they do. */
  keepTexts?: boolean;
}

/**
 * Rows as token ids, as TRL makes them (DESIGN.md, "As TRL does by default"). Left out and listed are rows
 * whose prompt alone has `maxLength` tokens or more (keep_start), and rows whose prompt has no token.
 * Throws a PrefgradError for a tokenizer without the EOS, BOS or chat template that the rows need.
 */
export function tokenizeRows(
  rows: readonly PairRow[],
  tokenizer: TextTokenizer,
  options: TokenizeOptions,
): Rows<TokenizedPair>;
export function tokenizeRows(
  rows: readonly UnpairedRow[],
  tokenizer: TextTokenizer,
  options: TokenizeOptions,
): Rows<TokenizedUnpaired>;
export function tokenizeRows(
  rows: readonly CompletionRow[],
  tokenizer: TextTokenizer,
  options: TokenizeOptions,
): Rows<TokenizedSingle>;
export function tokenizeRows(
  rows: readonly Row[],
  tokenizer: TextTokenizer,
  options: TokenizeOptions,
): Rows<TokenizedRow>;
export function tokenizeRows(
  rows: readonly Row[],
  tokenizer: TextTokenizer,
  options: TokenizeOptions,
): Rows<TokenizedRow> {
  const notes = noNotes();
  return { rows: runStage(rows, new RowTokenizer(tokenizer, options, notes)), ...notes };
}

interface Kept {
  readonly row: Row;
  readonly encoded: Encoded;
  readonly promptIds: number[];
}

/** Tokenises rows one after the other; those that get a KL completion wait until their chunk is whole. */
export class RowTokenizer implements Stage<Row, TokenizedRow> {
  readonly #limits: Limits;
  #kept: Kept[] = [];

  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly options: TokenizeOptions,
    private readonly notes: Notes,
  ) {
    const { maxLength, truncation = 'keep_start', addBos = false } = options;
    this.#limits = { maxLength, truncation, bos: addBos ? requireBos(tokenizer) : undefined };
  }

  push(row: Row): readonly TokenizedRow[] {
    const { origin } = row;
    const encoded = encodeRow(row, contentsOf(row), this.tokenizer);
    const promptIds = fit(encoded, this.#limits);
    if (typeof promptIds === 'string') {
      this.notes.leftOut.push({ origin, reason: promptIds });
      return [];
    }
    if (encoded.merged) {
      const reason =
        'has a prompt whose last tokens change when the completion follows; they count to the completion';
      this.notes.remarks.push({ origin, reason, about: 'merged tokens' });
    }
    this.#kept.push({ row, encoded, promptIds });
    return this.#kept.length < (this.options.klBatchSize ?? 1) ? [] : this.end();
  }

  end(): readonly TokenizedRow[] {
    const kept = this.#kept;
    this.#kept = [];
    if (this.options.klBatchSize === undefined) return kept.map((row) => this.#tokenized(row, undefined));
    const prompts = kept.map(({ encoded }) => encoded.promptText);
    const partners = klPartners(prompts, Math.max(kept.length, 1));
    const rows = kept.map((row, i) => this.#tokenized(row, kept[partners[i] ?? -1]));
    this.notes.remarks.push(...klRemarks(rows));
    return rows;
  }

  #tokenized({ row, encoded, promptIds }: Kept, partner: Kept | undefined): TokenizedRow {
    const completion = (which: number): TokenizedCompletion => {
      const { ids, text } = encoded.completions[which];
      const klIds = partner?.encoded.completions[which].ids;
      const cut = (all: readonly number[]) => cutCompletion(all, promptIds.length, this.#limits);
      const columns = row.columns?.[which];
      const kept = {
        ids: cut(ids),
        klIds: klIds === undefined ? null : cut(klIds),
        ...(columns === undefined ? {} : { columns }),
      };
      return keepTexts ? { ...kept, text } : Object.assign(new Textless(), kept);
    };
    const { origin } = row;
    const { promptText } = encoded;
    const { keepTexts = true } = this.options;
    const tokenized = { origin, promptIds, ...sidesOf(row, completion) };
    return keepTexts ? { ...tokenized, promptText } : Object.assign(new Textless(), tokenized);
  }
}

/** A row or a completion whose text has been let go. */
class Textless {
  get text(): string {
    throw new Error('the completion was tokenised with keepTexts: false');
  }
  get promptText(): string {
    throw new Error('the row was tokenised with keepTexts: false');
  }
}

function sidesOf(row: Row, completion: (which: number) => TokenizedCompletion) {
  if (row.kind === 'pair') return { kind: row.kind, chosen: completion(0), rejected: completion(1) };
  if (row.kind === 'completion') return { kind: row.kind, completion: completion(0) };
  return { kind: row.kind, completion: completion(0), label: row.label };
}

const contentsOf = (row: Row): Content[] =>
  row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];

/** The prompt as it fits, or why the row can not be used. */
function fit({ promptIds, completions }: Encoded, limits: Limits): number[] | string {
  if (completions.some(({ ids }) => ids.length === 0)) return 'has a completion without tokens';
  if (promptIds.length === 0 && limits.bos === undefined) {
    return 'has a prompt without tokens, so nothing predicts the completion; add_bos: true puts BOS there';
  }
  const longest = Math.max(...completions.map(({ ids }) => ids.length));
  return (
    cutPrompt(promptIds, longest, limits) ??
    `has a prompt of ${promptIds.length} tokens, which leaves no room for a completion within max_length ${limits.maxLength ?? ''}`
  );
}

function requireBos({ bosTokenId }: TextTokenizer): number {
  if (bosTokenId !== undefined) return bosTokenId;
  throw new PrefgradError("add_bos: the model's tokenizer has no BOS token; leave add_bos out");
}
