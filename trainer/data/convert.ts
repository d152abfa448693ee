import type { CompletionRow, Notes, PairRow, Row, Rows, UnpairedRow } from './rows.ts';
import { chain, runStage, type Stage } from './stage.ts';

/** Rows that DPO and HPO can train on: pairs. Others are left out. */
export const asPairs = (source: Rows): Rows<PairRow> => converted(source, pairs);

/** Rows that KTO can train on: judged completions; a pair is two of them, in the order TRL gives them. */
export const asUnpaired = (source: Rows): Rows<UnpairedRow> => converted(source, unpaired);

/** Rows that SFT can train on: completions, the chosen side of pairs, and what is labelled desirable. */
export const asCompletions = (source: Rows): Rows<CompletionRow> => converted(source, completions);

type Conversion<R extends Row> = (notes: Notes) => Stage<Row, R>;

/** The same for rows that come one after the other. */
export const pairs: Conversion<PairRow> = (notes) =>
  select(notes, (row) =>
    row.kind === 'pair' ? row : `is no pair: it has ${shape(row)}, expected chosen and rejected`,
  );

export const unpaired: Conversion<UnpairedRow> = (notes) =>
  chain(
    select<PairRow | UnpairedRow>(notes, (row) =>
      row.kind === 'completion' ? 'has no label, expected true or false' : row,
    ),
    new Unpairing(),
  );

export const completions: Conversion<CompletionRow> = (notes) =>
  select(notes, (row) => {
    if (row.kind === 'completion') return row;
    if (row.kind === 'unpaired' && !row.label) return 'is labelled undesirable, so it is nothing to imitate';
    return {
      ...common(row),
      ...(row.columns === undefined ? {} : { columns: row.columns.slice(0, 1) }),
      kind: 'completion',
      completion: row.kind === 'pair' ? row.chosen : row.completion,
    };
  });

/** TRL unpairs in chunks of this many pairs: their chosen completions, then their rejected ones. */
const UNPAIR_CHUNK = 1000;

class Unpairing implements Stage<PairRow | UnpairedRow, UnpairedRow> {
  #chunk: (PairRow | UnpairedRow)[] = [];

  push(row: PairRow | UnpairedRow): readonly UnpairedRow[] {
    this.#chunk.push(row);
    return this.#chunk.length < UNPAIR_CHUNK ? [] : this.end();
  }

  end(): readonly UnpairedRow[] {
    const chunk = this.#chunk;
    this.#chunk = [];
    return [
      ...chunk.map((row) => (row.kind === 'pair' ? half(row, true) : row)),
      ...chunk.flatMap((row) => (row.kind === 'pair' ? [half(row, false)] : [])),
    ];
  }
}

function half(row: PairRow, label: boolean): UnpairedRow {
  const { columns } = row;
  return {
    ...common(row),
    ...(columns === undefined ? {} : { columns: [columns[label ? 0 : 1]] }),
    kind: 'unpaired',
    completion: label ? row.chosen : row.rejected,
    label,
  };
}

const common = ({ origin, prompt, template }: Row) => ({
  origin,
  prompt,
  ...(template === undefined ? {} : { template }),
});

/** Takes rows one for one; a sentence says why one is left out. */
function select<R extends Row>(notes: Notes, choose: (row: Row) => R | string): Stage<Row, R> {
  return {
    push(row) {
      const chosen = choose(row);
      if (typeof chosen !== 'string') return [chosen];
      notes.leftOut.push({ origin: row.origin, reason: chosen });
      return [];
    },
    end: () => [],
  };
}

function converted<R extends Row>(source: Rows, conversion: Conversion<R>): Rows<R> {
  const notes: Notes = { leftOut: [...source.leftOut], remarks: source.remarks };
  return { rows: runStage(source.rows, conversion(notes)), ...notes };
}

const shape = (row: Row) => (row.kind === 'unpaired' ? 'a completion and a label' : 'a completion');
