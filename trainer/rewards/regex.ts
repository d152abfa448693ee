import { z } from 'zod';
import { builtinReward } from './builtin.ts';

function compiled(pattern: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(pattern, flags);
  } catch {
    return undefined;
  }
}

/**
 * `regex`: 1 for a completion in which the JavaScript regular expression `pattern` (with `flags`: i, m, s, u, v) is
 * found, 0 for others; the other way round with `prefer: no_match`.
 */
export const regexReward = builtinReward({
  name: 'regex',
  version: 1,
  options: {
    pattern: z.string().min(1).describe('a JavaScript regular expression'),
    // g and y would make each call go on where the last one stopped
    flags: z
      .string()
      .regex(/^[imsuv]*$/)
      .default('u')
      .describe('some of the flags i, m, s, u and v'),
    prefer: z.enum(['match', 'no_match']).default('match').describe('match or no_match'),
  },
  needs: ({ pattern, flags }) =>
    compiled(pattern, flags) === undefined
      ? `a JavaScript regular expression as pattern, but /${pattern}/${flags} is none`
      : undefined,
  create({ pattern, flags, prefer }) {
    const expression = new RegExp(pattern, flags);
    const [found, absent] = prefer === 'match' ? [1, 0] : [0, 1];
    return (_prompt, completion) => (expression.test(completion) ? found : absent);
  },
});
