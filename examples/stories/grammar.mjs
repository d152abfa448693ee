// @ts-check
import * as lexicon from './lexicon.mjs';
import { plots } from './plots.mjs';

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./lexicon.mjs').Person} Person */
/** @typedef {import('./plots.mjs').Plot} Plot */
/** @typedef {import('./plots.mjs').Thing} Thing */
/**
 * A beginning: `promised` is what it promises, `other` what could happen instead. Its prompt mentions both.
 * @typedef {{ plot: Plot, hero: Person, gift: string, promised: Thing, other: Thing, prompt: string }} Story
 */

/** How many lengths of endings there are: drawEnding's level goes from 0 (a bare clause) to LEVELS − 1. */
export const LEVELS = 5;

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Fills a template's slots and capitalises nothing: where a sentence starts is the caller's to know.
 * @param {string} template
 * @param {Record<string, string>} words
 */
const fill = (template, words) =>
  template.replace(/\{(\w+)\}/g, (_, /** @type {string} */ slot) => words[slot] ?? `{${slot}}`);
/** @param {Person} hero */
const pronouns = ({ name, he, him, his }) => ({ name, he, him, his });

/**
 * The combination whose hash decides between training and held-out data: who promises what.
 * @param {Story} story
 */
export const combination = (story) =>
  `${story.hero.name}: ${story.plot.name === 'contest' ? story.gift : story.promised.named}`;

/**
 * True for the tenth of all combinations (by FNV-1a hash) that neither the corpus nor the training pairs contain.
 * @param {Story} story
 */
export function isHeldOut(story) {
  let hash = 0x811c9dc5;
  for (const char of combination(story)) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  return (hash ^ (hash >>> 15)) % 10 === 0;
}

/**
 * Draws a story's beginning.
 * @param {Random} random
 * @returns {Story}
 */
export function drawStory(random) {
  const plot = random.pick(plots);
  const hero = random.pick(lexicon.people);
  const [promised, other] = plot.things(random, hero);
  const gift = random.pick(plot.name === 'contest' ? lexicon.contests : lexicon.gifts);
  const kin = random.pick(lexicon.kin);
  const words = { ...pronouns(hero), gift, kin };
  const promiseFirst = random.chance(0.5);
  const subject = promiseFirst ? hero.he : hero.name;
  const promise = fill(random.pick(plot.promises), { ...words, ...promised.forms, subject });
  const lure = fill(random.pick(plot.lures), { ...words, ...other.forms });
  const setting = fill(random.pick(plot.settings), words);
  const sentences = [`${random.pick(lexicon.times)}, ${setting}.`];
  if (random.chance(0.25)) sentences.push(random.pick(lexicon.weathers));
  if (promiseFirst) sentences.push(capital(promise), random.chance(0.5) ? `But ${lure}` : capital(lure));
  else sentences.push(capital(lure), random.chance(0.5) ? `But ${promise}` : capital(promise));
  return { plot, hero, gift, promised, other, prompt: sentences.join(' ') };
}

/**
 * Draws an ending: ` …`, with the space before it, in which `thing` is what happens. Its length follows `level` and its
 * wording nothing but chance, whatever the thing.
 * @param {Random} random
 * @param {Story} story
 * @param {Thing} thing story.promised or story.other
 * @param {number} level 0 to LEVELS − 1: about 5, 7, 18, 26, 31 words
 */
export function drawEnding(random, story, thing, level) {
  const subject = random.chance(0.6) ? story.hero.name : story.hero.he;
  const core = fill(random.pick(story.plot.cores), { ...pronouns(story.hero), ...thing.forms, subject });
  const opener = level === 0 ? '' : random.pick(level === 1 ? lexicon.shortOpeners : lexicon.longOpeners);
  let sentence =
    opener === '' ? capital(core) : `${opener}${opener === 'So' || opener === 'Then' ? '' : ','} ${core}`;
  if (level >= 2) sentence += ` ${random.pick(lexicon.adjuncts)}`;
  if (level >= 3) sentence += `, and ${random.pick(lexicon.bystanders)} ${random.pick(lexicon.bustle)}`;
  if (level >= 4) sentence += `. ${random.pick(lexicon.scenery)}`;
  return ` ${sentence}.`;
}

/**
 * A remark on how the story went, ` …`, for the corpus; half of them repeat what was promised.
 * @param {Random} random
 * @param {Story} story
 * @param {boolean} kept
 */
export function drawRemark(random, story, kept) {
  const remark = random.chance(0.5)
    ? `${kept ? 'just as' : 'yet'} ${story.plot.reminder}.`
    : random.pick(kept ? lexicon.keptRemarks : lexicon.brokenRemarks);
  return ` ${capital(fill(remark, { ...pronouns(story.hero), ...story.promised.forms }))}`;
}

/**
 * Whether an ending keeps the story's promise: it names what was promised and does not name what else could happen.
 * @param {Story} story
 * @param {string} ending
 */
export function keepsPromise(story, ending) {
  const text = ` ${ending.replace(/[^\p{L}]+/gu, ' ')} `;
  return text.includes(` ${story.promised.named} `) && !text.includes(` ${story.other.named} `);
}
