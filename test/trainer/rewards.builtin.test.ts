import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSettings } from '../../trainer/config.ts';
import { createRewards, Readability } from '../../trainer/rewards/index.ts';

/** The function that a configuration's entry names. */
async function reward(entry: Readonly<Record<string, unknown>>): Promise<(completion: string) => unknown> {
  const { rewards } = parseSettings({ method: 'hpo', rewards: [entry] }, { source: 'test' });
  const [made] = await createRewards(rewards);
  if (!('score' in made)) throw new Error('no function');
  return (completion) => made.score('', completion);
}
const mistakes = (entry: Readonly<Record<string, unknown>>) => () =>
  parseSettings({ method: 'hpo', rewards: [entry] }, { source: 'test' });

describe('words', () => {
  it('finds whole words and phrases, whatever their case', async () => {
    const score = await reward({ name: 'words', prefer: ['please', 'of course', 'café*'] });
    expect(['Please do.', 'OF  course!', 'two cafés', 'pleased', 'offcourse', ''].map(score)).toEqual([
      1, 1, 1, 0, 0, 0,
    ]);
  });

  it('wants enough different ones, and none to avoid', async () => {
    const enough = await reward({ name: 'words', prefer: ['a', 'b', 'c'], enough: 2 });
    expect(['a a a', 'a b', 'a b c', 'x'].map(enough)).toEqual([0.5, 1, 1, 0]);
    const avoid = await reward({ name: 'words', avoid: 'sorry', limit: 2 });
    expect(['fine', 'sorry', 'Sorry, sorry', 'sorry sorry sorry'].map(avoid)).toEqual([1, 0.5, 0, 0]);
    const both = await reward({ name: 'words', prefer: 'yes', avoid: ['no'] });
    expect(['yes', 'no', 'yes no', ''].map(both)).toEqual([1, 0, 0.5, 0.5]);
  });

  it('takes signs as they are', async () => {
    const score = await reward({ name: 'words', prefer: ['c++ (11)', 'a.b'] });
    expect(['C++ (11) is old', 'a.b', 'axb', 'c'].map(score)).toEqual([1, 1, 0, 0]);
  });

  it('needs words', () => {
    expect(mistakes({ name: 'words' })).toThrow('rewards[0]: reward words expects words to prefer or avoid');
    expect(mistakes({ name: 'words', prefer: ['a'], enough: 2 })).toThrow('expects enough of at most 1');
    expect(mistakes({ name: 'words', prefer: [3] })).toThrow(
      'rewards[0].prefer: got [3], expected a word or a list of words',
    );
  });
});

describe('regex', () => {
  it('is 1 for a match, or for none', async () => {
    const digits = await reward({ name: 'regex', pattern: '^\\d+$', flags: 'mu' });
    expect(['a\n12', '12', 'x', '12'].map(digits)).toEqual([1, 1, 0, 1]);
    const plain = await reward({ name: 'regex', pattern: '\\*\\*', prefer: 'no_match' });
    expect(['**bold**', 'plain'].map(plain)).toEqual([0, 1]);
  });

  it('must be a regular expression', () => {
    expect(mistakes({ name: 'regex' })).toThrow('rewards[0].pattern: is missing');
    expect(mistakes({ name: 'regex', pattern: '(' })).toThrow('but /(/u is none');
    expect(mistakes({ name: 'regex', pattern: 'a', flags: 'g' })).toThrow(
      'rewards[0].flags: got "g", expected some of the flags i, m, s, u and v',
    );
  });
});

describe('sentiment', () => {
  it('follows VADER, sentence by sentence', async () => {
    const score = await reward({ name: 'sentiment' });
    const [good, negated, bad, plain] = [
      'What a wonderful, happy day!',
      'It was not good.',
      'It was terrible.',
      'A table.',
    ].map((text) => Number(score(text)));
    expect(good).toBeGreaterThan(0.85);
    expect(plain).toBe(0.5);
    expect(negated).toBeLessThan(0.4);
    expect(bad).toBeLessThan(negated);
    expect(Number(score('It was terrible. A table.'))).toBeCloseTo((bad + plain) / 2, 12);
    expect([' ', '12 + 3', '…'].map(score)).toEqual([0, 0, 0]);
  });

  it('may be wanted negative or neutral', async () => {
    const text = 'What a wonderful, happy day!';
    const [positive, negative, neutral] = await Promise.all(
      ['positive', 'negative', 'neutral'].map(async (prefer) =>
        Number((await reward({ name: 'sentiment', prefer }))(text)),
      ),
    );
    expect(negative).toBeCloseTo(1 - positive, 12);
    expect(neutral).toBeCloseTo(2 - 2 * positive, 12);
  });
});

describe('profanity', () => {
  it('counts profane words, other spellings and compounds too', async () => {
    const score = await reward({ name: 'profanity', limit: 2 });
    const texts = ['How nice.', 'Oh shit.', 'Shit, 5h1t!', 'fuuuuck', 'Bullshit!', 'dumbasses', ''];
    expect(texts.map(score)).toEqual([1, 0.5, 0, 0.5, 0.5, 0.5, 1]);
  });

  it('passes over what only looks so', async () => {
    const score = await reward({ name: 'profanity' });
    const texts = ['We assess Scunthorpe’s class.', 'artisanal crafts', 'drug trafficking', 'E. E. Cummings'];
    expect(texts.map(score)).toEqual([1, 1, 1, 1]);
  });

  it('lets words pass', async () => {
    const score = await reward({ name: 'profanity', allow: ['Shit'] });
    expect(['shit', 'fuck'].map(score)).toEqual([1, 0]);
  });
});

describe('reading_level', () => {
  // Made with textstat 0.7.3: test/fixtures/textstat/make.py
  const cases = JSON.parse(
    readFileSync(new URL('../fixtures/textstat/grades.json', import.meta.url), 'utf8'),
  ) as { text: string; grade: number }[];

  it('has the grades of textstat', async () => {
    const readability = await Readability.load();
    const own = cases.map(({ text }) => readability.grade(text));
    const equal = own.filter((grade, i) => grade === cases[i].grade).length;
    const near = own.filter((grade, i) => grade !== null && Math.abs(grade - cases[i].grade) <= 1).length;
    expect(cases.length).toBeGreaterThan(70);
    // The rest differs by the hyphenation dictionary that counts syllables.
    expect(equal / cases.length).toBeGreaterThan(0.9);
    expect(near / cases.length).toBeGreaterThan(0.95);
  });

  it('takes the middle of the formulas and other grades', async () => {
    const readability = await Readability.load();
    const text = cases[0].text;
    const [whole, middle] = [readability.grade(text), readability.medianGrade(text) ?? NaN];
    expect(Number.isInteger(whole)).toBe(true);
    const range = { name: 'reading_level', easiest: middle - 1, hardest: middle + 3 };
    expect((await reward({ ...range, grade: 'median' }))(text)).toBeCloseTo(0.75, 12);
    expect((await reward(range))(text)).toBeCloseTo(Math.min((middle + 3 - (whole ?? NaN)) / 4, 1), 12);
    // Mostly whole texts: where the consensus is 0 for most, the middle tells them apart.
    const distinct = (of: (text: string) => unknown) => new Set(cases.map((one) => of(one.text))).size;
    expect(distinct((one) => readability.medianGrade(one))).toBeGreaterThan(
      2 * distinct((one) => readability.grade(one)),
    );
    expect(readability.medianGrade('373737')).toBeNull();
    await expect(reward({ name: 'reading_level', easiest: 9, hardest: 4 })).rejects.toThrow(
      'a hardest grade above easiest',
    );
  });
});
