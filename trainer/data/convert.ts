import type { CompletionRow, PairRow, Row, RowNote, Rows, UnpairedRow } from './rows.ts';

/** Rows that DPO and HPO can train on: pairs. Others are left out. */
export function asPairs(source: Rows): Rows<PairRow> {
  return select(source, (row) =>
    row.kind === 'pair' ? [row] : `is no pair: it has ${shape(row)}, expected chosen and rejected`,
  );
}

/** TRL unpairs in chunks of this many pairs: their chosen completions, then their rejected ones. */
const UNPAIR_CHUNK = 1000;

/** Rows that KTO can train on: judged completions; a pair is two of them, in the order TRL gives them. */
export function asUnpaired(source: Rows): Rows<UnpairedRow> {
  const { rows, leftOut, remarks } = select<PairRow | UnpairedRow>(source, (row) =>
    row.kind === 'completion' ? 'has no label, expected true or false' : [row],
  );
  const unpaired: UnpairedRow[] = [];
  for (let start = 0; start < rows.length; start += UNPAIR_CHUNK) {
    const chunk = rows.slice(start, start + UNPAIR_CHUNK);
    for (const row of chunk) unpaired.push(row.kind === 'pair' ? half(row, true) : row);
    for (const row of chunk) if (row.kind === 'pair') unpaired.push(half(row, false));
  }
  return { rows: unpaired, leftOut, remarks };
}

/** Rows that SFT can train on: completions, the chosen side of pairs, and what is labelled desirable. */
export function asCompletions(source: Rows): Rows<CompletionRow> {
  return select(source, (row) => {
    if (row.kind === 'completion') return [row];
    if (row.kind === 'unpaired' && !row.label) return 'is labelled undesirable, so it is nothing to imitate';
    const { origin, prompt } = row;
    const completion = row.kind === 'pair' ? row.chosen : row.completion;
    return [{ kind: 'completion', origin, prompt, completion }];
  });
}

function half({ origin, prompt, chosen, rejected }: PairRow, label: boolean): UnpairedRow {
  return { kind: 'unpaired', origin, prompt, completion: label ? chosen : rejected, label };
}

function select<R extends Row>(source: Rows, choose: (row: Row) => R[] | string): Rows<R> {
  const rows: R[] = [];
  const leftOut: RowNote[] = [...source.leftOut];
  for (const row of source.rows) {
    const chosen = choose(row);
    if (typeof chosen === 'string') leftOut.push({ origin: row.origin, reason: chosen });
    else rows.push(...chosen);
  }
  return { rows, leftOut, remarks: source.remarks };
}

const shape = (row: Row) => (row.kind === 'unpaired' ? 'a completion and a label' : 'a completion');
