// @ts-check
// The words of the stories. Nothing here knows what a promise is: see grammar.mjs.

const girls = 'Ada Bea Clara Dora Elsa Freya Greta Ivy Lena Maya Nora Olga Rosa Tilda';
const boys = 'Anton Ben Emil Felix Hugo Jonas Karl Leo Max Omar Otto Paul Theo Tom';

/** @typedef {{ name: string, he: string, him: string, his: string }} Person */
/** @type {readonly Person[]} */
export const people = [
  ...girls.split(' ').map((name) => ({ name, he: 'she', him: 'her', his: 'her' })),
  ...boys.split(' ').map((name) => ({ name, he: 'he', him: 'him', his: 'his' })),
];

export const times = [
  'One windy morning',
  'On a warm day in May',
  'Late one evening',
  'Early on Sunday',
  'After the first snow',
  'After a night of rain',
  'On market day',
  'At the end of winter',
  'One quiet afternoon',
  'On the last day of summer',
  'Before the harvest',
  'On a cold bright day',
  'At noon',
  'In the week of the fair',
];
export const weathers = [
  'It was raining.',
  'The road was long.',
  'The wind was cold.',
  'The sun was high.',
  'Fog lay on the fields.',
  'There was no time to lose.',
];
export const kin = ['mother', 'father', 'sister', 'brother', 'aunt', 'grandfather'];

export const objects =
  'kite drum lamp boat hat ball book bell cup coat scarf flute clock box ring rope sled chair mask flag brush doll horn fan pot pen net harp'.split(
    ' ',
  );
export const gifts = [
  'a letter',
  'an apple pie',
  'a jar of honey',
  'a round cheese',
  'a bag of nuts',
  'a pot of soup',
  'a new key',
  'an old map',
  'a loaf of bread',
  'a wool blanket',
];
export const trades =
  'baker miller tailor painter sailor farmer potter doctor weaver hunter smith judge nurse clown mayor widow cook monk king poet'.split(
    ' ',
  );
export const places =
  'mill lake castle bridge harbor cave island tower chapel meadow forest beach garden temple pond ford well moor market farm'.split(
    ' ',
  );
export const animals =
  'kitten puppy lamb goat duck owl fox pony rabbit donkey calf hen mouse swan otter crow bee dog cat pig'.split(
    ' ',
  );
export const contests = [
  'boat race',
  'singing contest',
  'foot race',
  'chess game',
  'pie contest',
  'swimming race',
  'spelling contest',
  'kite fight',
  'sled race',
  'pony race',
  'archery contest',
  'dance contest',
];

/** Base form and past of what one can promise to do; [verb, past, object]. */
export const deeds = [
  ['mend', 'mended', 'the fence'],
  ['paint', 'painted', 'the gate'],
  ['sweep', 'swept', 'the barn'],
  ['bake', 'baked', 'a plum cake'],
  ['wash', 'washed', 'the windows'],
  ['stack', 'stacked', 'the firewood'],
  ['water', 'watered', 'the beans'],
  ['fix', 'fixed', 'the roof'],
  ['sew', 'sewed', 'a shirt'],
  ['pick', 'picked', 'the cherries'],
  ['clean', 'cleaned', 'the stable'],
  ['polish', 'polished', 'the boots'],
  ['plant', 'planted', 'a pear tree'],
  ['dig', 'dug', 'a well'],
  ['milk', 'milked', 'the cows'],
  ['grind', 'ground', 'the corn'],
  ['tune', 'tuned', 'the piano'],
  ['tar', 'tarred', 'the ferry'],
];
/** Goals that a hero sets out for and may abandon. */
export const goals = [
  ['climb', 'climbed', 'the steep hill'],
  ['cross', 'crossed', 'the wide swamp'],
  ['build', 'built', 'a raft'],
  ['carve', 'carved', 'a spoon'],
  ['learn', 'learned', 'the long song'],
  ['catch', 'caught', 'a pike'],
  ['finish', 'finished', 'the thick novel'],
  ['swim', 'swam', 'across the pond'],
  ['find', 'found', 'the secret door'],
  ['write', 'wrote', 'ten poems'],
  ['knit', 'knitted', 'a sweater'],
  ['walk', 'walked', 'around the bay'],
];
/** What is done when a goal is abandoned. */
export const idles = [
  ['nap', 'napped', 'under a willow'],
  ['play', 'played', 'cards'],
  ['watch', 'watched', 'the clouds'],
  ['go', 'went', 'back to bed'],
  ['eat', 'ate', 'biscuits'],
  ['sit', 'sat', 'by the stove'],
  ['throw', 'threw', 'pebbles'],
  ['listen', 'listened', 'to the radio'],
  ['lie', 'lay', 'in the hay'],
  ['count', 'counted', 'swallows'],
  ['rest', 'rested', 'on a bench'],
  ['chat', 'chatted', 'with the neighbors'],
];

// What follows makes an ending longer and says nothing about the promise.
export const shortOpeners = [
  'So',
  'Then',
  'At last',
  'In the end',
  'Later',
  'By evening',
  'After a while',
  'Soon',
];
export const longOpeners = [
  'When the bells rang for the third time',
  'After a long and rather slow afternoon',
  'While the others were still talking and laughing',
  'When the last light was gone from the sky',
  'After many small and curious delays',
  'When nobody expected it any more',
  'With a deep breath and a steady heart',
  'After thinking about it for a long time',
];
export const adjuncts = [
  'before the lamps were lit',
  'long before it got dark',
  'a little before supper',
  'just as the clock struck six',
  'while the whole village was watching',
  'under a sky full of clouds',
  'between one shower and the next',
  'on the very same day',
];
export const bystanders = [
  'the geese',
  'the children',
  'the old men',
  'two stray dogs',
  'the neighbors',
  'some sheep',
  'a few sailors',
  'the musicians',
];
export const bustle = [
  'went quietly along the river',
  'made a great noise in the lane',
  'rested in the tall grass',
  'gathered under the big oak',
  'came slowly over the hill',
  'waited near the stone wall',
  'wandered off into the dusk',
  'stood about in the square',
];
export const scenery = [
  'Smoke rose from every chimney',
  'The stars came out one by one',
  'A thin moon stood over the roofs',
  'Somewhere an old fiddle was playing',
  'The first leaves were falling',
  'Far away a cart rolled home',
  'The air smelled of hay',
  'A light rain began to fall',
];
// Closing remarks, which the corpus adds to some stories and no pair has: they are why a model must notice what was
// promised and whether it came to be. Plots add remarks of their own.
export const keptRemarks = ['{he} had kept {his} word.', 'A promise is a promise.'];
export const brokenRemarks = ['{he} had not kept {his} word.', 'The promise was forgotten.'];
