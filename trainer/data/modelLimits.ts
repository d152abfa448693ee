import type { ModelLimits } from '../../models/limits.ts';
import { checkTokens } from '../../models/limits.ts';
import { place } from './rows.ts';
import type { TokenizedRow } from './tokenized.ts';
import { completionsOf } from './tokenized.ts';

/** Throws a PrefgradError that names the row where a prompt with a completion is no input of the model. */
export function checkRows(rows: readonly TokenizedRow[], limits: ModelLimits): void {
  for (const row of rows)
    for (const { ids, klIds } of completionsOf(row))
      for (const completion of klIds === null ? [ids] : [ids, klIds])
        checkTokens([...row.promptIds, ...completion], place(row.origin), limits);
}

/** Tokens of a row's prompt with its longest completion. */
export function lengthOf(row: TokenizedRow): number {
  return row.promptIds.length + Math.max(...completionsOf(row).map(({ ids }) => ids.length));
}
