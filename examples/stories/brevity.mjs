// @ts-check
/**
 * The auxiliary reward of this example: short endings are good. 1 for up to 6 words, falling evenly to 0 at 32 words;
 * 0 for no words at all. No preference pair says anything about it.
 * @param {string} _prompt
 * @param {string} completion
 * @returns {number} in [0, 1]
 */
export default function brevity(_prompt, completion) {
  const words = completion.split(/\s+/).filter(Boolean).length;
  return words === 0 ? 0 : Math.min(Math.max((32 - words) / 26, 0), 1);
}
