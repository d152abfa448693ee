import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { parseRows, rowsFromObjects } from '../../trainer/data/index.ts';
import { describeNotes } from '../../trainer/data/rows.ts';
import { readRows } from '../../trainer/data/read.node.ts';
import { folder } from './dataFiles.ts';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

/** Why an object is no row; a good one beside it keeps the data usable. */
function reason(object: unknown): string {
  const { leftOut } = rowsFromObjects([{ prompt: 'p', completion: 'c' }, object]);
  expect(leftOut.map(({ origin }) => origin.line)).toEqual([2]);
  return leftOut[0].reason;
}

describe('rows that can not be used are listed', () => {
  it.each([
    [3, 'is a number, expected an object'],
    [[1], 'is a list, expected an object'],
    [null, 'is nothing, expected an object'],
    [{}, 'has no keys; expected prompt, chosen and rejected, or prompt and completion, or conversations'],
    [{ instruction: 'i', output: 'o' }, 'has instruction, output; expected'],
    [{ prompt: 'p', chosen: 'c' }, 'has chosen without rejected'],
    [{ prompt: 'p', chosen: null, rejected: 'r' }, 'has rejected without chosen'],
    [{ completion: 'c' }, 'has a completion without prompt'],
    [{ prompt: 'p', completion: '' }, 'has an empty completion'],
    [{ prompt: 'p', chosen: 'c', rejected: '' }, 'has an empty rejected'],
    [{ prompt: 'p', chosen: 'c', rejected: [assistant('')] }, 'has an empty rejected'],
    [{ prompt: [], chosen: 'c', rejected: 'r' }, 'has no message before the completion'],
    [{ prompt: 'p', completion: 'c', label: 'good' }, 'has "good" as label, expected true or false'],
    [{ prompt: 3, completion: 'c' }, 'has a number under prompt, expected a text or messages'],
    [{ prompt: [{ content: 'x' }], completion: 'c' }, 'has a message without role under prompt'],
    [
      { prompt: [{ role: 'user', content: 4 }], completion: 'c' },
      'whose content is a number, expected a text',
    ],
    [
      { prompt: [{ role: 'user', content: [{ type: 'image' }] }], completion: 'c' },
      'whose content is a list',
    ],
    [{ chosen: 'same', rejected: 'same' }, 'nothing says where the prompt ends'],
    [{ messages: [user('p')] }, 'has messages that end with user, expected an assistant message'],
    [{ messages: [assistant('p')] }, 'has no message before the completion'],
    [{ prompt: 'p', completion: 'c', tools: [{}] }, 'has tools, which chat templates read, but prompt and'],
    [{ prompt: [user('p')], completion: 'c', tools: { a: 1 } }, 'has an object under tools, expected a list'],
    [{ prompt: [user('p')], completion: 'c', tools: '[{' }, 'has a string under tools, expected a list'],
    [{ prompt: 'p', completion: 'c', images: ['a.png'] }, 'has images, which can not be used yet'],
    [{ conversations: 'no list' }, 'has a text under conversations that is no JSON list of messages'],
    [
      { conversations: [{ from: 'function_call', value: 'f(1)' }] },
      'has a function_call under conversations that is',
    ],
    [
      { question: 'q', chosen: 'The one', rejected: 'The other' },
      'has no prompt, but question; call it prompt',
    ],
  ])('%j', (object, sentence) => {
    expect(reason(object)).toContain(sentence);
  });

  it('and equal sides, repeated and contradictory rows are remarked', () => {
    const [pair, judged] = [
      { prompt: 'p', chosen: 'c', rejected: 'r' },
      { prompt: 'p', completion: 'c', label: true },
    ];
    const { rows, remarks } = rowsFromObjects([
      { prompt: 'p', chosen: 'c', rejected: 'c' },
      pair,
      judged,
      { ...pair, source: 'another' },
      { ...pair, prompt: 'q' },
      { ...pair, chosen: 'r', rejected: 'c' },
      { ...judged, label: false },
      judged,
      { prompt: 'p', completion: 'c' },
      { prompt: 'p', completion: 'c' },
    ]);
    expect(rows).toHaveLength(10);
    expect(remarks.map((remark) => [remark.origin.line, remark.about, remark.reason])).toEqual([
      [1, 'equal sides', 'has equal chosen and rejected, which teach no preference'],
      [4, 'repeated', 'repeats rows:2'],
      [6, 'contradicted', 'prefers what rows:2 rejects, for the same prompt'],
      [7, 'contradicted', 'has the other label than the same completion at rows:3'],
      [8, 'repeated', 'repeats rows:3'],
      [10, 'repeated', 'repeats rows:9'],
    ]);
  });

  it('in a sentence for people', () => {
    const notes = [1, 2, 3].map((line) => ({ origin: { file: 'a.jsonl', line }, reason: 'why' }));
    expect(describeNotes('left out', notes, 2)).toBe(
      '3 rows left out: a.jsonl:1 (why); a.jsonl:2 (why); … and 1 more',
    );
    expect(describeNotes('left out', [])).toBe('');
  });

  it('unless none is left', () => {
    expect(() => rowsFromObjects([{ text: 'a' }], 'mine')).toThrow(
      'mine: has no row that can be used: 1 row left out: mine:1 (has text',
    );
    expect(() => parseRows('\n\n', 'a.jsonl')).toThrow(
      'a.jsonl: has no row that can be used: it holds no rows',
    );
  });
});

describe('files', () => {
  const lines = ['{"prompt":"p","completion":"c"}', '', '{"prompt":"q","completion":"d"}\r', ''];

  it('JSON lines keep their numbers', () => {
    const { rows } = parseRows(`\uFEFF${lines.join('\n')}`, 'a.jsonl');
    expect(rows.map(({ origin }) => origin.line)).toEqual([1, 3]);
  });

  it('JSON arrays give the line an element begins on', () => {
    const text =
      '[\n  {"prompt": "p [\\"{", "completion": "c"},\n\n  {\n  "prompt": "q",\n "completion": ["d"]}, {"x":\n1},\n 4]';
    const { rows, leftOut } = parseRows(`${text.slice(0, -1)}, {"prompt":"r","completion":"e"}]`, 'a.json');
    expect(rows.map(({ origin }) => origin.line)).toEqual([2, 8]);
    expect(leftOut.map(({ origin }) => origin.line)).toEqual([4, 6, 8]);
  });

  it.each([
    ['{"prompt":"p","completion":"c"}\n{"prompt": oops}\n', 'a.jsonl:2: is not valid JSON: Unexpected token'],
    ['{"prompt":"p","completion":"c"}{}\n', 'a.jsonl:1: is not valid JSON: '],
    ['[\n{"prompt":"p","completion":"c"},\n{"prompt": NaN}\n]', 'a.jsonl:3: is not valid JSON: '],
    ['[\n{"prompt":"p","completion":"c"},\n{"prompt": "cut', 'a.jsonl:3: is not valid JSON: '],
    ['[', 'a.jsonl:1: is not valid JSON: '],
  ])('%j says where it is broken', (text, sentence) => {
    expect(() => parseRows(text, 'a.jsonl')).toThrow(sentence);
    expect(() => parseRows(text, 'a.jsonl')).toThrow(PrefgradError);
  });

  it('are read from disk', async () => {
    const path = join(folder, 'a.jsonl');
    writeFileSync(path, lines.join('\n'));
    const { rows } = await readRows(path);
    expect(rows.map(({ origin }) => origin)).toEqual([
      { file: path, line: 1 },
      { file: path, line: 3 },
    ]);
    await expect(readRows(join(folder, 'absent.jsonl'))).rejects.toThrow('can not be read');
    await expect(readRows(folder)).rejects.toThrow('is a folder; give the path of a data file');
  });
});
