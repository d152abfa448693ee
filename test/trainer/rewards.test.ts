import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import {
  computeRewards,
  createRewards,
  memoryCache,
  Readability,
  scoreWith,
  type FunctionReward,
  type Reward,
  type RewardConfig,
  type RewardTarget,
} from '../../trainer/rewards/index.ts';

const config = (over: object): RewardConfig => ({
  name: 'r',
  module: null,
  url: null,
  column: null,
  cache: true,
  weight: 1,
  normalize: 'none',
  options: {},
  ...over,
});
/** The functions that a configuration of functions names. */
const functions = async (...configs: RewardConfig[]): Promise<FunctionReward[]> =>
  (await createRewards(configs)).flatMap((reward) => ('score' in reward ? reward : []));
const builtin = async (name: string, options: Record<string, unknown> = {}) => {
  const [reward] = await functions(config({ name, options }));
  return (completion: string) => reward.score('', completion);
};

describe('reading_level', async () => {
  const readability = await Readability.load();
  const readingGrade = (text: string) => readability.grade(text);
  const easy = 'The cat sat on the mat. The dog ran to the cat. They had a lot of fun in the sun.';
  const hard =
    'Notwithstanding considerable methodological heterogeneity, contemporary epidemiological investigations demonstrate that socioeconomic determinants disproportionately influence cardiovascular morbidity.';
  const middling =
    'Our teacher explained how plants make food from sunlight, water, and air during the day. Afterwards we wrote a short report about the different parts of a leaf.';

  it('is 1 for what a fourth grader reads, 0 for a journal, between for between', async () => {
    const score = await builtin('reading_level');
    expect(score(easy)).toBe(1);
    expect(score(hard)).toBe(0);
    expect(readingGrade(easy)).toBeLessThanOrEqual(4);
    expect(readingGrade(hard)).toBeGreaterThan(13);
    const grade = readingGrade(middling);
    expect(grade).toBeGreaterThan(4);
    expect(grade).toBeLessThan(9);
    expect(score(middling)).toBeCloseTo((9 - (grade ?? NaN)) / 5, 12);
  });

  it.each([
    '',
    ' ',
    '\n\n',
    '???',
    '373737',
    '🙂🙂',
    '你好，世界。今天天气很好。',
    'Привет мир.',
    '. . .',
    '\u0000',
  ])('gives 0 to %j, which has no grade', async (text) => {
    expect(readingGrade(text)).toBeNull();
    expect((await builtin('reading_level'))(text)).toBe(0);
  });

  it.each([
    'Yes',
    'a',
    'no punctuation at all here',
    'É',
    "don't",
    'Ma̱ʻoʻoʻo',
    'x\ty\u00a0z',
    '. a',
    'CAPS LOCK IS ON!!!',
  ])('gives a number from 0 to 1 to %j', async (text) => {
    const score = (await builtin('reading_level'))(text);
    expect(score).toBeGreaterThanOrEqual(0);
    expect(score).toBeLessThanOrEqual(1);
  });

  it('does not choke on degenerate samples', async () => {
    const score = await builtin('readingLevel');
    const before = performance.now();
    for (const text of [
      'x'.repeat(200_000),
      `a${' '.repeat(200_000)}b`,
      'ab '.repeat(5000),
      'ha'.repeat(50_000),
      `a${','.repeat(100_000)}`,
    ]) {
      expect(await score(text)).toBeGreaterThanOrEqual(0);
    }
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

describe('length', () => {
  const words = (n: number) => Array.from({ length: n }, () => 'word').join(' \n');

  it('falls on both sides of its target', async () => {
    const score = await builtin('length', { target: 20, tolerance: 10 });
    expect([0, 5, 15, 20, 25, 30, 99].map((n) => score(words(n)))).toEqual([0, 0, 0.5, 1, 0.5, 0, 0]);
  });

  it('can spare a side, and count characters', async () => {
    const short = await builtin('length', { target: 20, tolerance: 10, penalize: 'longer' });
    expect([0, 20, 25].map((n) => short(words(n)))).toEqual([1, 1, 0.5]);
    const long = await builtin('length', { target: 20, tolerance: 10, penalize: 'shorter' });
    expect([15, 20, 99].map((n) => long(words(n)))).toEqual([0.5, 1, 1]);
    const characters = await builtin('length', { target: 4, tolerance: 4, unit: 'characters' });
    expect([' 🙂🙂🙂🙂 ', 'ab'].map((text) => characters(text))).toEqual([1, 0.5]);
  });

  it('needs no option', async () => {
    const score = await builtin('length');
    expect([0, 25, 50, 75, 100].map((n) => score(words(n)))).toEqual([0, 0.5, 1, 0.5, 0]);
  });
});

describe('modules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rewards-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const module = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return functions(config({ name: 'mine', module: join(folder, name) }));
  };

  it('are called with prompt and completion', async () => {
    const [sync] = await module(
      'a.mjs',
      'export default (prompt, completion) => completion.length - prompt.length;',
    );
    expect(await sync.score('ab', 'abcde')).toBe(3);
    const [later] = await module('b.mjs', 'export default async (p, c) => { await null; return c.length; };');
    expect(await later.score('', 'abc')).toBe(3);
    expect(sync.identity).not.toBe(later.identity);
  });

  it.each([
    ['c.mjs', 'export const score = () => 1;', 'has no default export, expected a function'],
    ['d.mjs', 'export default 3;', 'has a number as default export'],
    ['e.mjs', 'throw new Error("no model file");', 'fails to load: no model file'],
  ])('%s is refused', async (name, text, sentence) => {
    await expect(module(name, text)).rejects.toThrow(sentence);
    await expect(module(name, text)).rejects.toThrow(PrefgradError);
  });

  it('must exist', async () => {
    await expect(
      createRewards([config({ name: 'mine', module: join(folder, 'absent.mjs') })]),
    ).rejects.toThrow('reward mine: ');
  });
});

it('an unknown built-in names the nearest', async () => {
  await expect(createRewards([config({ name: 'lenght' })])).rejects.toThrow('did you mean length?');
});

describe('computeRewards', () => {
  const texts = ['aa', 'b', 'aa', 'cccc'];
  const targets: RewardTarget[] = texts.map((completion, i) => ({
    prompt: 'p',
    completion,
    origin: { file: 'a.jsonl', line: i + 1 },
  }));
  const counting = (over: Partial<FunctionReward> = {}) => {
    const calls: string[] = [];
    const reward: FunctionReward = {
      name: 'size',
      weight: 1,
      normalize: 'none',
      score: (_prompt, completion) => {
        calls.push(completion);
        return completion.length;
      },
      ...over,
    };
    return { reward, calls };
  };

  it('calls a reward once per distinct text', async () => {
    const { reward, calls } = counting();
    const other = { ...targets[0], prompt: 'q' };
    const { total, scores } = await computeRewards([...targets, other], [reward]);
    expect([...total]).toEqual([2, 1, 2, 4, 2]);
    expect([...(scores.get('size') ?? [])]).toEqual([2, 1, 2, 4, 2]);
    expect(calls.sort()).toEqual(['aa', 'aa', 'b', 'cccc']);
  });

  it('adds up weighted rewards', async () => {
    const { total } = await computeRewards(targets, [
      counting({ weight: 0.5 }).reward,
      {
        name: 'later',
        weight: -1,
        normalize: 'none',
        score: (_p, completion) => Promise.resolve(completion === 'b' ? 10 : 0),
      },
    ]);
    expect([...total]).toEqual([1, -9.5, 1, 2]);
  });

  it('standardizes over all completions, before the weight', async () => {
    const { reward } = counting({ normalize: 'standardize', weight: 2 });
    const { total, normalization, scores } = await computeRewards(targets, [reward]);
    const mean = [...total].reduce((sum, value) => sum + value, 0) / 4;
    const variance = [...total].reduce((sum, value) => sum + value ** 2, 0) / 4;
    expect(mean).toBeCloseTo(0, 12);
    expect(variance).toBeCloseTo(4, 12);
    expect([...(scores.get('size') ?? [])]).toEqual([2, 1, 2, 4]);
    expect(normalization.get('size')).toEqual({ mean: 2.25, deviation: Math.sqrt(1.1875) });
    const further = await scoreWith([{ ...targets[0], completion: 'abc' }], [reward], normalization);
    expect(further.total[0]).toBeCloseTo((2 * (3 - 2.25)) / Math.sqrt(1.1875), 12);
  });

  it('gives 0 for a standardized reward that never changes', async () => {
    const constant: Reward = { name: 'same', weight: 1, normalize: 'standardize', score: () => 0.1 };
    expect([...(await computeRewards(targets, [constant])).total]).toEqual([0, 0, 0, 0]);
  });

  it('asks a cache first, for rewards that have an identity', async () => {
    const cache = memoryCache();
    const first = counting({ identity: 'size 1' });
    const before = await computeRewards(targets, [first.reward], { cache });
    const again = counting({ identity: 'size 1' });
    expect((await computeRewards(targets, [again.reward], { cache })).total).toEqual(before.total);
    expect([first.calls.length, again.calls.length]).toEqual([3, 0]);
    const changed = counting({ identity: 'size 2' });
    const nameless = counting();
    await computeRewards(targets, [changed.reward, { ...nameless.reward, name: 'other' }], { cache });
    expect([changed.calls.length, nameless.calls.length]).toEqual([3, 3]);
  });

  it('reports progress', async () => {
    const seen: unknown[] = [];
    await computeRewards(targets, [counting().reward], {
      concurrency: 2,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen).toEqual([
      { reward: 'size', done: 2, total: 3 },
      { reward: 'size', done: 3, total: 3 },
    ]);
  });

  const failures: [string, FunctionReward['score'], string][] = [
    [
      'throws',
      () => {
        throw new Error('no lexicon');
      },
      'reward bad: fails at a.jsonl:1: no lexicon; the completion is "aa"',
    ],
    ['rejects', () => Promise.reject(new Error('timeout')), 'reward bad: fails at a.jsonl:1: timeout'],
    ['gives NaN', () => NaN, 'reward bad: gives NaN at a.jsonl:1, expected a finite number'],
    ['gives infinity', (_p, c) => (c === 'cccc' ? -Infinity : 1), 'reward bad: gives -Infinity at a.jsonl:4'],
    ['gives a text', () => JSON.parse('"1"') as number, 'reward bad: gives a string at a.jsonl:1'],
    ['gives nothing', () => JSON.parse('null') as number, 'reward bad: gives null at a.jsonl:1'],
  ];
  it.each(failures)('stops for one that %s', async (_what, score, sentence) => {
    const work = computeRewards(targets, [{ name: 'bad', weight: 1, normalize: 'none', score }], {
      concurrency: 1,
    });
    await expect(work).rejects.toThrow(PrefgradError);
    await expect(work).rejects.toThrow(sentence);
  });

  it('needs different names', async () => {
    await expect(computeRewards(targets, [counting().reward, counting().reward])).rejects.toThrow(
      'reward size: the name is taken',
    );
  });
});
