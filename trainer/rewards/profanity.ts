import { z } from 'zod';
import { builtinReward } from './builtin.ts';

/** Compounds that the package finds inside words alone. */
const compounds = ['bullshit', 'motherfuck', 'dumbass'];

/** A match that begins a word and goes to its end, or to an ending such as -s, -ed, -er, -ing. */
function isWord(text: string, start: number, end: number): boolean {
  return (
    !/[\p{L}\p{N}]$/u.test(text.slice(Math.max(start - 2, 0), start)) &&
    !/\s/.test(text.slice(start, end)) &&
    /^\p{L}{0,4}(?![\p{L}\p{N}])/u.test(text.slice(end, end + 8))
  );
}

/**
 * `profanity`: 1 for an English completion without profane words, 0 from `limit` (1) of them on, less in proportion.
 * The package `obscenity` finds them, also in other spellings (`5h1t`, `fuuuck`). It looks inside words and across them
 * too, and so finds some in `artisanal` and `drug trafficking`: here only whole words count. `allow` lists those to let
 * pass, such as `dick` where Moby Dick is meant.
 */
export const profanityReward = builtinReward({
  name: 'profanity',
  version: 1,
  options: {
    limit: z.int().min(1).default(1).describe('a whole number of at least 1'),
    allow: z.array(z.string().min(1)).default([]).describe('a list of words'),
  },
  async create({ limit, allow }) {
    const obscenity = await import('obscenity');
    const { DataSet, RegExpMatcher, englishDataset, englishRecommendedTransformers, parseRawPattern } =
      obscenity;
    const passed = new Set(allow.map((word) => word.toLowerCase()));
    const words = new DataSet<{ originalWord: string }>().addAll(englishDataset);
    for (const word of compounds)
      words.addPhrase((phrase) =>
        phrase.setMetadata({ originalWord: word }).addPattern(parseRawPattern(`|${word}`)),
      );
    words.removePhrasesIf(({ metadata }) => metadata !== undefined && passed.has(metadata.originalWord));
    const matcher = new RegExpMatcher({ ...words.build(), ...englishRecommendedTransformers });
    return (_prompt, completion) => {
      const found = matcher
        .getAllMatches(completion)
        .filter(({ startIndex, endIndex }) => isWord(completion, startIndex, endIndex + 1));
      return Math.max(1 - new Set(found.map(({ startIndex }) => startIndex)).size / limit, 0);
    };
  },
});
