import { place } from '../data/rows.ts';
import { NoScore } from './noScore.ts';
import type { RewardTarget } from './reward.ts';

/** A target's number of a column; CSV has numbers as texts. */
export function columnScore({ columns, origin }: RewardTarget, column: string): number | NoScore {
  const value = columns?.[column];
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  const found = value === undefined || value === null ? 'nothing' : JSON.stringify(value);
  return new NoScore(
    `finds ${found} in the column ${column} at ${place(origin)}, expected a number (for a pair ${column}: [chosen, rejected], or ${column}_chosen and ${column}_rejected)`,
  );
}
