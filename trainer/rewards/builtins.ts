import type { BuiltinReward } from './builtin.ts';
import { lengthReward } from './length.ts';
import { profanityReward } from './profanity.ts';
import { readingLevelReward } from './readingLevel.ts';
import { regexReward } from './regex.ts';
import { sentimentReward } from './sentiment.ts';
import { wordsReward } from './words.ts';

/** Every built-in reward; a new one is a file and a line here. */
export const builtinRewards: readonly BuiltinReward[] = [
  readingLevelReward,
  lengthReward,
  wordsReward,
  sentimentReward,
  profanityReward,
  regexReward,
];

/** `reading_level`, `readingLevel` and `reading-level` are one name. */
export function findBuiltin(name: string): BuiltinReward | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[_-]/g, '');
  return builtinRewards.find((reward) => plain(reward.name) === plain(name));
}
