import type { TokenizedRow } from '../data/tokenized.ts';
import { completionsOf } from '../data/tokenized.ts';
import type { RewardTarget } from './reward.ts';

/** A row's completions, as rewards see them. */
export function targetsOf(row: TokenizedRow): RewardTarget[] {
  return completionsOf(row).map(({ text, columns }) => ({
    prompt: row.promptText,
    completion: text,
    origin: row.origin,
    columns: columns ?? {},
  }));
}

/** Whether a completion counts to the chosen ones: a pair's first, a desirable one, one to imitate. */
export function sideOf(row: TokenizedRow, index: number): 'chosen' | 'rejected' {
  if (row.kind === 'pair') return index === 0 ? 'chosen' : 'rejected';
  return row.kind === 'unpaired' && !row.label ? 'rejected' : 'chosen';
}
