// @ts-check
// node examples/stories/generate.mjs                         writes pairs.jsonl and heldout.jsonl beside this file
// node examples/stories/generate.mjs --corpus FILE [--stories N] [--seed S]    writes the corpus, {"text": …} a line
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LEVELS, drawEnding, drawRemark, drawStory, isHeldOut } from './grammar.mjs';
import { createRandom } from './random.mjs';

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./grammar.mjs').Story} Story */
/** @typedef {{ prompt: string, chosen: string, rejected: string }} Pair */

export const CORPUS = { stories: 40000, seed: 1 };
export const TRAINING = { pairs: 1000, seed: 2 };
export const HELD_OUT = { pairs: 120, seed: 3 };

/**
 * A beginning whose combination of hero and promise is held out, or one whose is not.
 * @param {Random} random
 * @param {boolean} heldOut
 */
function drawStoryOf(random, heldOut) {
  let story = drawStory(random);
  while (isHeldOut(story) !== heldOut) story = drawStory(random);
  return story;
}

/**
 * Whole stories, half of which keep their promise; half of them close with a remark on it. No held-out combination.
 * @param {{ stories: number, seed: number }} options
 * @returns {Generator<{ story: Story, kept: boolean, text: string }>}
 */
export function* corpus({ stories, seed }) {
  const random = createRandom(seed);
  for (let i = 0; i < stories; i++) {
    const story = drawStoryOf(random, false);
    const kept = random.chance(0.5);
    const ending = drawEnding(random, story, kept ? story.promised : story.other, random.below(LEVELS));
    const remark = random.chance(0.5) ? drawRemark(random, story, kept) : '';
    yield { story, kept, text: story.prompt + ending + remark };
  }
}

/**
 * Preference pairs with distinct prompts. Chosen and rejected have the same level of length and wordings of their own.
 * @param {{ pairs: number, seed: number }} options
 * @param {boolean} heldOut
 * @returns {{ story: Story, pair: Pair }[]}
 */
export function preferencePairs({ pairs, seed }, heldOut) {
  const random = createRandom(seed);
  /** @type {Map<string, { story: Story, pair: Pair }>} */
  const rows = new Map();
  while (rows.size < pairs) {
    const story = drawStoryOf(random, heldOut);
    const level = random.below(LEVELS);
    const chosen = drawEnding(random, story, story.promised, level);
    const rejected = drawEnding(random, story, story.other, level);
    if (!rows.has(story.prompt))
      rows.set(story.prompt, { story, pair: { prompt: story.prompt, chosen, rejected } });
  }
  return [...rows.values()];
}

/** @param {Iterable<object>} rows */
export const toJsonLines = (rows) => [...rows].map((row) => `${JSON.stringify(row)}\n`).join('');

/** @param {string} name @param {string | undefined} text @param {number} fallback */
function count(name, text, fallback) {
  if (text !== undefined && !/^\d+$/.test(text)) throw new Error(`--${name} ${text}: give a whole number`);
  return text === undefined ? fallback : Number(text);
}

function main() {
  const { values } = parseArgs({
    options: { corpus: { type: 'string' }, stories: { type: 'string' }, seed: { type: 'string' } },
  });
  if (values.corpus !== undefined) {
    const stories = count('stories', values.stories, CORPUS.stories);
    const options = { stories, seed: count('seed', values.seed, CORPUS.seed) };
    writeFileSync(values.corpus, toJsonLines(Array.from(corpus(options), ({ text }) => ({ text }))));
    return;
  }
  for (const [file, options, heldOut] of /** @type {const} */ ([
    ['pairs.jsonl', TRAINING, false],
    ['heldout.jsonl', HELD_OUT, true],
  ])) {
    const rows = preferencePairs(options, heldOut).map(({ pair }) => pair);
    writeFileSync(join(import.meta.dirname, file), toJsonLines(rows));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
