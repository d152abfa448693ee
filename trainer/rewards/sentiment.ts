import { z } from 'zod';
import { builtinReward } from './builtin.ts';

const wishes = {
  positive: (compound: number) => (1 + compound) / 2,
  negative: (compound: number) => (1 - compound) / 2,
  neutral: (compound: number) => 1 - Math.abs(compound),
};

/**
 * `sentiment`: how positive an English completion is, from 0 to 1 (0.5 is neutral); or with `prefer: negative` or
 * `neutral` how much of that. The mean over sentences of VADER's compound score (Hutto & Gilbert 2014), a lexicon with
 * rules for negation, degree and emphasis; over a whole text the score would only say which side prevails. Gives 0 to
 * a completion without a word.
 */
export const sentimentReward = builtinReward({
  name: 'sentiment',
  version: 1,
  options: {
    prefer: z
      .enum(['positive', 'negative', 'neutral'])
      .default('positive')
      .describe('positive, negative or neutral'),
  },
  async create({ prefer }) {
    const { default: vader } = await import('vader-sentiment');
    const wish = wishes[prefer];
    return (_prompt, completion) => {
      const sentences = completion.split(/(?<=[.!?])\s+|\n+/).filter((text) => /\p{L}/u.test(text));
      if (sentences.length === 0) return 0;
      const sum = sentences.reduce(
        (total, text) => total + vader.SentimentIntensityAnalyzer.polarity_scores(text).compound,
        0,
      );
      return wish(sum / sentences.length);
    };
  },
});
