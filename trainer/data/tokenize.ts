import { encodeRow, type Encoded, type TextTokenizer } from './encode.ts';
import { klPartners, klRemarks } from './kl.ts';
import type { CompletionRow, Content, PairRow, Row, RowNote, Rows, UnpairedRow } from './rows.ts';
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
  { maxLength, truncation = 'keep_start', addBos = false, klBatchSize }: TokenizeOptions,
): Rows<TokenizedRow> {
  const limits: Limits = { maxLength, truncation, bos: addBos ? requireBos(tokenizer) : undefined };
  const leftOut: RowNote[] = [];
  const remarks: RowNote[] = [];
  const kept: { row: Row; encoded: Encoded; promptIds: number[] }[] = [];
  for (const row of rows) {
    const { origin } = row;
    const encoded = encodeRow(row.prompt, contentsOf(row), tokenizer, origin);
    const fitted = fit(encoded, limits);
    if (typeof fitted === 'string') leftOut.push({ origin, reason: fitted });
    else {
      kept.push({ row, encoded, promptIds: fitted });
      if (encoded.merged) {
        remarks.push({
          origin,
          reason:
            'has a prompt whose last tokens change when the completion follows; they count to the completion',
        });
      }
    }
  }

  const partners =
    klBatchSize === undefined
      ? undefined
      : klPartners(
          kept.map(({ encoded }) => encoded.promptText),
          klBatchSize,
        );
  const tokenized = kept.map(({ row, encoded, promptIds }, index): TokenizedRow => {
    const partner = partners?.[index] ?? null;
    const completion = (which: number): TokenizedCompletion => {
      const { ids, text } = encoded.completions[which];
      return {
        ids: cutCompletion(ids, promptIds.length, limits),
        text,
        klIds:
          partner === null
            ? null
            : cutCompletion(kept[partner].encoded.completions[which].ids, promptIds.length, limits),
      };
    };
    const common = { origin: row.origin, promptIds, promptText: encoded.promptText };
    if (row.kind === 'pair')
      return { kind: 'pair', ...common, chosen: completion(0), rejected: completion(1) };
    if (row.kind === 'completion') return { kind: 'completion', ...common, completion: completion(0) };
    return { kind: 'unpaired', ...common, completion: completion(0), label: row.label };
  });
  if (partners !== undefined) remarks.push(...klRemarks(tokenized));
  return { rows: tokenized, leftOut, remarks };
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
