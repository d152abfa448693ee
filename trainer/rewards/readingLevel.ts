import { builtinReward } from './builtin.ts';
import { Readability } from './readability.ts';

/**
 * `reading_level`: R₁ = min(max((9 − grade) / 5, 0), 1) (arXiv 2405.17956): 1 up to grade 4, 0 from grade 9.
 * A completion without a grade (empty, or nothing but digits, signs or another script) gets 0: the formulas
 * would call it the easiest text of all, and a policy would learn to say nothing.
 */
export const readingLevelReward = builtinReward({
  name: 'reading_level',
  version: 2,
  options: {},
  async create() {
    const readability = await Readability.load();
    return (_prompt, completion) => {
      const grade = readability.grade(completion);
      return grade === null ? 0 : Math.min(Math.max((9 - grade) / 5, 0), 1);
    };
  },
});
