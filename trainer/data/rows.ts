/** One turn of a conversation, as chat templates read it. */
export interface Message {
  readonly role: string;
  readonly content: string;
  readonly name?: string;
  /** What an assistant calls, in OpenAI's form: `{type: 'function', function: {name, arguments}}`. */
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
  readonly reasoning_content?: string;
}

/** Plain text, or a conversation. */
export type Content = string | readonly Message[];

/** Where a row came from: the file as it was named, and its line, counted from 1 (in Parquet: the row's number). */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** Values of a completion by their column's name. */
export type Columns = Readonly<Record<string, unknown>>;

interface Given {
  readonly origin: Origin;
  readonly prompt: Content;
  /** What else the chat template reads: `tools`, and what the row's `chat_template_kwargs` hold. */
  readonly template?: Readonly<Record<string, unknown>>;
  /** Values of the columns that were asked for, of each completion in order; see columns.ts. */
  readonly columns?: readonly Columns[];
}

/** A preference pair: the same kind of content in all three places. */
export interface PairRow extends Given {
  readonly kind: 'pair';
  readonly chosen: Content;
  readonly rejected: Content;
}

/** A completion with a judgement (KTO). */
export interface UnpairedRow extends Given {
  readonly kind: 'unpaired';
  readonly completion: Content;
  /** True: desirable. */
  readonly label: boolean;
}

/** A completion to imitate (SFT) or to score. */
export interface CompletionRow extends Given {
  readonly kind: 'completion';
  readonly completion: Content;
}

export type Row = PairRow | UnpairedRow | CompletionRow;

/** A sentence about one row: why it was left out, or what is odd about it. */
export interface RowNote {
  readonly origin: Origin;
  readonly reason: string;
}

/** What is said of a row that is used; remarks on one subject are told together. */
export interface Remark extends RowNote {
  readonly about: 'equal sides' | 'repeated' | 'contradicted' | 'merged tokens' | 'KL partner';
}

/** What reading has to tell, in the order of the rows. */
export interface Notes {
  /** Every row that can not be used. */
  readonly leftOut: RowNote[];
  /** Rows that are used although something about them is odd. */
  readonly remarks: Remark[];
}

export const noNotes = (): Notes => ({ leftOut: [], remarks: [] });

/** Rows that can be used, and every one that can not. */
export interface Rows<R = Row> extends Notes {
  readonly rows: R[];
}

/** `rows.jsonl:12`. */
export function place({ file, line }: Origin): string {
  return `${file}:${line}`;
}

/** Notes that a message shows. */
export const SHOWN_NOTES = 5;

/** `3 rows left out: rows.jsonl:4 (why); … and 1 more`, for a person to read; empty for none. */
export function describeNotes(what: string, notes: readonly RowNote[], most = SHOWN_NOTES): string {
  if (notes.length === 0) return '';
  const shown = notes.slice(0, most).map(({ origin, reason }) => `${place(origin)} (${reason})`);
  const more = notes.length > most ? `; … and ${notes.length - most} more` : '';
  return `${notes.length} ${notes.length === 1 ? 'row' : 'rows'} ${what}: ${shown.join('; ')}${more}`;
}
