import { parseJson } from './json.ts';
import type { Columns, Row } from './rows.ts';

/**
 * Columns that rewards take numbers from. A pair has two, as a list `score: [chosen, rejected]`, or in columns of their
 * own: `score_chosen` and `score_rejected`, or `chosen_score` and `rejected_score`. Other rows have one.
 */
export const columnNames = (column: string): string[] => [
  column,
  ...(['chosen', 'rejected'] as const).flatMap((side) => sideNames(column, side)),
];

const sideNames = (column: string, side: 'chosen' | 'rejected') => [`${column}_${side}`, `${side}_${column}`];

/** The values of a row's completions, in order; what is not there is undefined. */
export function columnsOf(
  fields: Readonly<Record<string, unknown>>,
  kind: Row['kind'],
  columns: readonly string[],
): Columns[] {
  const sides = kind === 'pair' ? (['chosen', 'rejected'] as const) : [undefined];
  return sides.map((side, i) =>
    Object.fromEntries(
      columns.map((column) => [
        column,
        side === undefined ? fields[column] : valueOf(fields, column, side, i),
      ]),
    ),
  );
}

function valueOf(fields: Columns, column: string, side: 'chosen' | 'rejected', index: number): unknown {
  const whole = fields[column];
  const listed = typeof whole === 'string' ? listIn(whole) : whole;
  if (Array.isArray(listed)) return listed.length === 2 ? listed[index] : listed;
  const own = sideNames(column, side).find((name) => (fields[name] ?? null) !== null);
  return own === undefined ? undefined : fields[own];
}

/** CSV has lists as JSON texts. */
function listIn(text: string): unknown {
  const parsed = text.startsWith('[') ? parseJson(text) : undefined;
  return parsed !== undefined && 'value' in parsed ? parsed.value : text;
}
