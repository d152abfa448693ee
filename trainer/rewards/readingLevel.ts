import { z } from 'zod';
import { builtinReward } from './builtin.ts';
import { Readability } from './readability.ts';

/**
 * `reading_level`: R₁ = min(max((9 − grade) / 5, 0), 1) (arXiv 2405.17956): 1 up to grade 4, 0 from grade 9. `easiest`
 * and `hardest` are other grades in place of 4 and 9; `grade: median` is the middle of the formulas' grades in place of
 * the consensus, finer on short texts.
 * A completion without a grade (empty, or nothing but digits, signs or another script) gets 0: the formulas
 * would call it the easiest text of all, and a policy would learn to say nothing.
 */
export const readingLevelReward = builtinReward({
  name: 'reading_level',
  version: 2,
  options: {
    easiest: z.number().default(4).describe('a school grade'),
    hardest: z.number().default(9).describe('a school grade above easiest'),
    grade: z.enum(['consensus', 'median']).default('consensus').describe('consensus or median'),
  },
  needs: ({ easiest, hardest }) =>
    hardest > easiest ? undefined : `a hardest grade above easiest, but got ${hardest} and ${easiest}`,
  async create({ easiest, hardest, grade: which }) {
    const readability = await Readability.load();
    return (_prompt, completion) => {
      const grade = which === 'median' ? readability.medianGrade(completion) : readability.grade(completion);
      return grade === null ? 0 : Math.min(Math.max((hardest - grade) / (hardest - easiest), 0), 1);
    };
  },
});
