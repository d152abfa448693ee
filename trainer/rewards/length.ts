import { z } from 'zod';
import { builtinReward } from './builtin.ts';

const counts = {
  words: (text: string) => text.split(/\s+/).filter((word) => word !== '').length,
  characters: (text: string) => Array.from(text.trim()).length,
};

/**
 * `length`: 1 for a completion of `target` words (50), falling linearly to 0 at `tolerance` words (`target`)
 * away from it: max(0, 1 − |n − target| / tolerance). `unit: characters` counts characters (code points, the white space
 * around the text aside) instead of words; `penalize: longer` or `shorter` spares the other side.
 */
export const lengthReward = builtinReward({
  name: 'length',
  version: 1,
  options: {
    target: z.number().min(0).default(50).describe('a number of at least 0'),
    tolerance: z.number().gt(0).optional().describe('a number above 0'),
    unit: z.enum(['words', 'characters']).default('words').describe('words or characters'),
    penalize: z.enum(['both', 'longer', 'shorter']).default('both').describe('both, longer or shorter'),
  },
  create: ({ target, tolerance = Math.max(target, 1), unit, penalize }) => {
    const count = counts[unit];
    return (_prompt, completion) => {
      const over = count(completion) - target;
      if ((over > 0 && penalize === 'shorter') || (over < 0 && penalize === 'longer')) return 1;
      return Math.max(0, 1 - Math.abs(over) / tolerance);
    };
  },
});
