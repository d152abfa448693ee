import { PrefgradError } from '../../engine/errors.ts';
import { blobSource, memorySource } from '../../models/files/source.ts';
import type { FoundData, LoadHooks } from '../data/load.ts';
import { kindOf } from '../data/messages.ts';
import type { Content, Message } from '../data/rows.ts';

/** Columns of a row that rewards may read, and whatever else it has. */
interface Columns {
  readonly [column: string]: unknown;
}

/** A preference pair; without `prompt` it is what chosen and rejected begin with. */
export interface PairData extends Columns {
  readonly prompt?: Content;
  readonly chosen: Content;
  readonly rejected: Content;
}

/** A completion to imitate or to score; with a label one that was judged, for KTO. */
export interface CompletionData extends Columns {
  readonly prompt: Content;
  readonly completion: Content;
  readonly label?: boolean;
}

/** A conversation, whose last assistant's message is the completion, unless chosen and rejected are given. */
export type ConversationData = Columns &
  ({ readonly messages: readonly Message[] } | { readonly conversations: readonly unknown[] });

/** A row in one of TRL's formats, or ShareGPT's: texts, or lists of messages. */
export type DataRow = PairData | CompletionData | ConversationData;

/**
 * Rows: as objects; as a Blob or File with JSON lines, JSON, CSV, TSV or Parquet in it; and in Node, Deno and Bun as
 * the path or https:// address of such a file.
 */
export type DataInput = readonly DataRow[] | Blob | string;

/** Data as the trainer reads it. `name` is what messages call rows that have no file. */
export async function openData(data: DataInput, name: string, hooks: LoadHooks = {}): Promise<FoundData> {
  if (typeof data === 'string') {
    const { findRows } = await import('../data/find.node.ts');
    return findRows(data, hooks);
  }
  const file =
    data instanceof Blob
      ? { name: nameOf(data, name), open: async () => blobSource(nameOf(data, name), data) }
      : objectsFile(data, name);
  return { parts: [{ file, weight: null }] };
}

export const nameOf = (blob: Blob, otherwise: string): string =>
  'name' in blob && typeof blob.name === 'string' ? blob.name : otherwise;

/** Objects take the way of files, as JSON lines. */
function objectsFile(rows: readonly unknown[], name: string): FoundData['parts'][number]['file'] {
  if (rows.length === 0) throw new PrefgradError(`${name}: has no rows; give at least one`);
  rows.forEach((row, i) => {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new PrefgradError(
        `${name}:${i + 1}: is ${kindOf(row)}, expected an object such as {prompt, chosen, rejected}`,
      );
  });
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return { name, open: async () => memorySource(name, new TextEncoder().encode(text)) };
}
