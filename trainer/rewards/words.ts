import { z } from 'zod';
import { builtinReward } from './builtin.ts';

const list = z.union([z.string().min(1), z.array(z.string().min(1))]);
const listed = (given: string | string[]): string[] => (typeof given === 'string' ? [given] : given);

/** Finds whole words and phrases, whatever their case; a `*` stands for any letters. */
function pattern(phrase: string): RegExp {
  const parts = phrase
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/[.+?^${}()|[\]\\/-]/g, '\\$&').replaceAll('*', '[\\p{L}\\p{M}\\p{N}]*'));
  return new RegExp(`(?<![\\p{L}\\p{N}_])${parts.join('\\s+')}(?![\\p{L}\\p{N}_])`, 'giu');
}

/**
 * `words`: 1 where `enough` (1) different ones of the words `prefer` occur, less in proportion; and 1 where none of the
 * words `avoid` occurs, 0 from `limit` (1) occurrences on. The mean of the two where both are given.
 */
export const wordsReward = builtinReward({
  name: 'words',
  version: 1,
  options: {
    prefer: list.default([]).describe('a word or a list of words'),
    avoid: list.default([]).describe('a word or a list of words'),
    enough: z.int().min(1).default(1).describe('a whole number of at least 1'),
    limit: z.int().min(1).default(1).describe('a whole number of at least 1'),
  },
  needs: ({ prefer, avoid, enough }) => {
    const preferred = listed(prefer).length;
    if (preferred + listed(avoid).length === 0) return 'words to prefer or avoid';
    return preferred > 0 && enough > preferred
      ? `enough of at most ${preferred}, the number of words to prefer`
      : undefined;
  },
  create({ prefer, avoid, enough, limit }) {
    const [good, bad] = [listed(prefer).map(pattern), listed(avoid).map(pattern)];
    return (_prompt, completion) => {
      const found = good.filter((one) => completion.search(one) >= 0).length;
      const occurrences = bad.reduce((sum, one) => sum + (completion.match(one)?.length ?? 0), 0);
      const parts = [
        ...(good.length > 0 ? [Math.min(found / enough, 1)] : []),
        ...(bad.length > 0 ? [Math.max(1 - occurrences / limit, 0)] : []),
      ];
      return parts.reduce((sum, part) => sum + part, 0) / parts.length;
    };
  },
});
