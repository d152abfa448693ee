// @ts-check
import * as lexicon from './lexicon.mjs';

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./lexicon.mjs').Person} Person */
/**
 * Something that a story can promise. `named` are the words that an ending about it contains, `forms` what it fills
 * into templates: {a} and {the} of a noun, {base} and {done} of a deed, {winner} of a contest.
 * @typedef {{ named: string, forms: Record<string, string> }} Thing
 */
/**
 * One kind of story. A setting introduces the hero, a promise and a lure follow in either order, and a core is the
 * clause that ends the story: with what was promised or with what lured, in the same words.
 * @typedef {object} Plot
 * @property {string} name
 * @property {(random: Random, hero: Person) => [Thing, Thing]} things two different ones: promised, other
 * @property {readonly string[]} settings
 * @property {readonly string[]} promises
 * @property {readonly string[]} lures
 * @property {readonly string[]} cores
 * @property {string} reminder what a remark says of the promised thing, whether the promise was kept or not
 */

/** @param {string} noun @returns {Thing} */
const nounThing = (noun) => ({
  named: noun,
  forms: { a: `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`, the: `the ${noun}` },
});
/** @param {readonly string[]} deed verb, past, object @returns {Thing} */
const deedThing = ([verb, past, object]) => ({
  named: `${past} ${object}`,
  forms: { base: `${verb} ${object}`, done: `${past} ${object}` },
});
/** @param {string} name @returns {Thing} */
const winner = (name) => ({ named: name, forms: { winner: name } });

/** Two different items of a list. @template T @param {Random} random @param {readonly T[]} list @returns {[T, T]} */
const pickTwo = (random, list) => {
  const first = random.below(list.length);
  const second = (first + 1 + random.below(list.length - 1)) % list.length;
  return [list[first], list[second]];
};
/** @param {readonly string[]} nouns @returns {(random: Random) => [Thing, Thing]} */
const twoNouns = (nouns) => (random) => {
  const [a, b] = pickTwo(random, nouns);
  return [nounThing(a), nounThing(b)];
};

// Slots: {name} {he} {him} {his} the hero, {subject} its name or pronoun, {kin} a relative, {gift} what is carried or the
// contest's name, and the forms of the thing that the sentence is about.
/** @type {readonly Plot[]} */
export const plots = [
  {
    name: 'wish',
    things: twoNouns(lexicon.objects),
    settings: [
      '{name} went to the market',
      '{name} walked into the village shop',
      '{name} looked around the fair',
      '{name} stopped at an old stall',
    ],
    promises: [
      '{subject} wanted {a} more than anything.',
      '{subject} had promised {his} {kin} {a}.',
      '{subject} had saved all year for {a}.',
      '{subject} had come for {a} and nothing else.',
      '{subject} had long dreamed of {a}.',
    ],
    lures: [
      'there was {a} on the shelf.',
      'near the door hung {a}.',
      'a man held up {a}.',
      'the seller showed {him} {a}.',
      '{the} was cheap.',
    ],
    cores: [
      '{subject} bought {the}',
      '{subject} chose {the}',
      '{subject} paid for {the}',
      '{subject} took {the} home',
      '{subject} came home with {the}',
      '{subject} walked off with {the}',
    ],
    reminder: '{he} had hoped for {the}',
  },
  {
    name: 'gift',
    things: twoNouns(lexicon.trades),
    settings: [
      '{name} set out with {gift}',
      '{name} left home with {gift}',
      '{name} came up the road with {gift}',
      '{name} carried {gift} to town',
    ],
    promises: [
      '{subject} had promised it to {the}.',
      '{subject} wanted {the} to have it.',
      '{subject} had packed it for {the}.',
      '{subject} was to bring it to {the}.',
    ],
    lures: [
      'on the way {he} met {the}.',
      '{the} asked for it.',
      '{the} came by and looked at it.',
      'at the corner stood {the}.',
    ],
    cores: [
      '{subject} gave it to {the}',
      '{subject} handed it to {the}',
      '{subject} brought it to {the}',
      '{subject} left it with {the}',
      '{the} got it from {him}',
      'it went to {the}',
    ],
    reminder: '{he} had meant it for {the}',
  },
  {
    name: 'journey',
    things: twoNouns(lexicon.places),
    settings: [
      '{name} packed some bread',
      '{name} put on {his} boots',
      '{name} closed the door behind {him}',
      '{name} took the road out of town',
    ],
    promises: [
      '{subject} had promised to go to {the}.',
      '{subject} wanted to see {the}.',
      '{subject} was on {his} way to {the}.',
      '{subject} had told {his} {kin} to meet {him} at {the}.',
    ],
    lures: [
      'another path led to {the}.',
      'a farmer spoke of {the}.',
      'a sign showed the way to {the}.',
      'it was not far to {the}.',
    ],
    cores: [
      '{subject} reached {the}',
      '{subject} came to {the}',
      '{subject} stood at {the}',
      '{subject} arrived at {the}',
      '{subject} found the way to {the}',
      'the path ended at {the}',
    ],
    reminder: '{he} had set out for {the}',
  },
  {
    name: 'rescue',
    things: twoNouns(lexicon.animals),
    settings: [
      '{name} walked along the river',
      '{name} crossed the yard',
      '{name} came through the woods',
      '{name} opened the gate',
    ],
    promises: [
      '{subject} had promised to help {the}.',
      '{subject} was looking for {the}.',
      '{subject} had told {his} {kin} to wait for {the}.',
      '{subject} wanted to save {the}.',
    ],
    lures: [
      'by the road sat {a}.',
      '{a} looked at {him}.',
      'in the grass lay {a}.',
      '{he} heard the cry of {a}.',
    ],
    cores: [
      '{subject} fed {the}',
      '{subject} took {the} home',
      '{subject} carried {the} inside',
      '{subject} made a bed for {the}',
      '{subject} gave milk to {the}',
      '{the} slept in {his} lap',
    ],
    reminder: '{he} had thought of {the}',
  },
  {
    name: 'deed',
    things: (random) => {
      const [a, b] = pickTwo(random, lexicon.deeds);
      return [deedThing(a), deedThing(b)];
    },
    settings: [
      '{name} got up early',
      '{name} came out of the house',
      '{name} rolled up {his} sleeves',
      '{name} had a free hour',
    ],
    promises: [
      '{subject} had promised to {base}.',
      '{subject} had told {his} {kin} that {he} would {base}.',
      '{subject} had sworn to {base}.',
      '{his} {kin} counted on {him} to {base}.',
    ],
    lures: [
      'a friend asked {him} to {base}.',
      'it was also a good day to {base}.',
      'somebody else wanted {him} to {base}.',
      'it was easier to {base}.',
    ],
    cores: [
      '{subject} {done}',
      '{subject} really {done}',
      '{subject} simply {done}',
      'it was {name} who {done}',
      '{subject} {done} after all',
      '{subject} stayed and {done}',
    ],
    reminder: '{he} had meant to {base}',
  },
  {
    name: 'quest',
    things: (random) => [deedThing(random.pick(lexicon.goals)), deedThing(random.pick(lexicon.idles))],
    settings: [
      '{name} got up early',
      '{name} came out of the house',
      '{name} tied {his} shoes',
      '{name} made a plan',
    ],
    promises: [
      '{subject} had promised to {base}.',
      '{subject} had told {his} {kin} that {he} would {base}.',
      '{subject} had sworn to {base}.',
      '{subject} was determined to {base}.',
    ],
    lures: [
      'it was tempting to {base}.',
      'a friend asked {him} to {base}.',
      'it was also a good day to {base}.',
      'it was easier to {base}.',
    ],
    cores: [
      '{subject} {done}',
      '{subject} really {done}',
      '{subject} simply {done}',
      'it was {name} who {done}',
      '{subject} {done} after all',
      '{subject} just {done}',
    ],
    reminder: '{he} had meant to {base}',
  },
  {
    name: 'contest',
    // The prize is the gift; what is promised is who wins it.
    things: (random, hero) => {
      const names = lexicon.people.map((person) => person.name).filter((name) => name !== hero.name);
      return [winner(hero.name), winner(random.pick(names))];
    },
    settings: [
      '{name} came to the {gift}',
      '{name} waited for the {gift}',
      '{name} was ready for the {gift}',
      '{name} put {his} name down for the {gift}',
    ],
    promises: [
      '{winner} had promised {his} {kin} to win.',
      '{winner} had sworn to come first.',
      '{winner} would win, as {he} had told {his} {kin}.',
      '{winner} had promised to bring home the prize.',
    ],
    lures: [
      '{winner} was very good too.',
      '{winner} had come as well.',
      '{winner} was said to be the best.',
      '{winner} smiled at {him}.',
    ],
    cores: [
      '{winner} won',
      '{winner} came first',
      '{winner} took the prize',
      'the winner was {winner}',
      'nobody could beat {winner}',
      'the prize went to {winner}',
    ],
    reminder: 'the promise was made by {winner}',
  },
];
