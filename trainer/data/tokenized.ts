import type { Columns, Origin } from './rows.ts';

/** One completion, as the model sees it and as rewards do. */
export interface TokenizedCompletion {
  /** Token ids after the prompt's, EOS included, cut to what fits `maxLength`; never empty. */
  readonly ids: number[];
  /** Without EOS and uncut; for messages their contents. */
  readonly text: string;
  /** KTO's KL completion: another row's completion, to be read after this row's prompt. */
  readonly klIds: number[] | null;
  /** Values of columns that rewards ask for. */
  readonly columns?: Columns;
}

interface Tokenized {
  readonly origin: Origin;
  /** Never empty. */
  readonly promptIds: number[];
  /** For messages the prompt rendered by the chat template. */
  readonly promptText: string;
}

export interface TokenizedPair extends Tokenized {
  readonly kind: 'pair';
  readonly chosen: TokenizedCompletion;
  readonly rejected: TokenizedCompletion;
}

export interface TokenizedUnpaired extends Tokenized {
  readonly kind: 'unpaired';
  readonly completion: TokenizedCompletion;
  readonly label: boolean;
}

export interface TokenizedSingle extends Tokenized {
  readonly kind: 'completion';
  readonly completion: TokenizedCompletion;
}

export type TokenizedRow = TokenizedPair | TokenizedUnpaired | TokenizedSingle;

/** A row's completions: chosen and rejected, or the one it has. */
export function completionsOf(row: TokenizedRow): TokenizedCompletion[] {
  return row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];
}
