/** Data: files to rows, rows to token ids, token ids to batches. */
export { batches, type Batch, type BatchOptions, type BatchPosition } from './batches.ts';
export { asCompletions, asPairs, asUnpaired } from './convert.ts';
export { encodeRow, type TextTokenizer } from './encode.ts';
export { parseRows, rowsFromObjects } from './parse.ts';
export { Random } from './random.ts';
export { rowsFromFile } from './read.ts';
export { blobSource, type FileSource } from '../../models/files/source.ts';
export type {
  CompletionRow,
  Content,
  Message,
  Origin,
  Notes,
  PairRow,
  Remark,
  Row,
  RowNote,
  Rows,
  UnpairedRow,
} from './rows.ts';
export { tokenizeRows, type TokenizeOptions } from './tokenize.ts';
export { completionsOf } from './tokenized.ts';
export type {
  TokenizedCompletion,
  TokenizedPair,
  TokenizedRow,
  TokenizedSingle,
  TokenizedUnpaired,
} from './tokenized.ts';
