import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import {
  asCompletions,
  asPairs,
  asUnpaired,
  describeNotes,
  parseRows,
  rowsFromObjects,
  type Row,
} from '../../trainer/data/index.ts';
import { readRows } from '../../trainer/data/read.node.ts';
import { fetched, needsFetched } from '../shared.ts';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

/** The one row of an object, less its origin. */
function row(object: unknown): Omit<Row, 'origin'> {
  const { origin, ...rest } = rowsFromObjects([object]).rows[0];
  expect(origin).toEqual({ file: 'rows', line: 1 });
  return rest;
}

/** Why an object is no row; a good one beside it keeps the data usable. */
function reason(object: unknown): string {
  const { leftOut } = rowsFromObjects([{ prompt: 'p', completion: 'c' }, object]);
  expect(leftOut.map(({ origin }) => origin.line)).toEqual([2]);
  return leftOut[0].reason;
}

describe('formats', () => {
  it.each([
    [
      'explicit pair',
      { prompt: 'p', chosen: 'c', rejected: 'r' },
      { kind: 'pair', prompt: 'p', chosen: 'c', rejected: 'r' },
    ],
    [
      'unpaired',
      { prompt: 'p', completion: 'c', label: false },
      { kind: 'unpaired', prompt: 'p', completion: 'c', label: false },
    ],
    [
      'label 1',
      { prompt: 'p', completion: 'c', label: 1 },
      { kind: 'unpaired', prompt: 'p', completion: 'c', label: true },
    ],
    [
      'completion',
      { prompt: '', completion: 'c', label: null, score: 3 },
      { kind: 'completion', prompt: '', completion: 'c' },
    ],
    [
      'pair of messages',
      { prompt: [user('p')], chosen: [assistant('c')], rejected: [assistant('r')] },
      { kind: 'pair', prompt: [user('p')], chosen: [assistant('c')], rejected: [assistant('r')] },
    ],
    [
      'text and messages mixed',
      { prompt: 'p', chosen: [assistant('c')], rejected: 'r' },
      { kind: 'pair', prompt: [user('p')], chosen: [assistant('c')], rejected: [assistant('r')] },
    ],
    [
      'prompt as a text and again in both conversations',
      {
        prompt: 'p',
        chosen: [user('p'), assistant('c')],
        rejected: [user('p'), assistant('r')],
        messages: [user('x')],
      },
      { kind: 'pair', prompt: [user('p')], chosen: [assistant('c')], rejected: [assistant('r')] },
    ],
    [
      'ShareGPT pair',
      {
        system: 's',
        conversations: [{ from: 'human', value: 'p' }],
        chosen: { from: 'gpt', value: 'c' },
        rejected: { from: 'gpt', value: 'r' },
      },
      {
        kind: 'pair',
        prompt: [{ role: 'system', content: 's' }, user('p')],
        chosen: [assistant('c')],
        rejected: [assistant('r')],
      },
    ],
    [
      'ShareGPT conversation',
      {
        conversations: [
          { from: 'human', value: 'p' },
          { from: 'gpt', value: 'c' },
        ],
      },
      { kind: 'completion', prompt: [user('p')], completion: [assistant('c')] },
    ],
    [
      'messages with a label',
      { messages: [user('p'), assistant('c'), user('q'), assistant('d')], label: true },
      {
        kind: 'unpaired',
        prompt: [user('p'), assistant('c'), user('q')],
        completion: [assistant('d')],
        label: true,
      },
    ],
    [
      'content in parts',
      {
        prompt: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
        ],
        completion: 'c',
      },
      { kind: 'completion', prompt: [user('ab')], completion: [assistant('c')] },
    ],
  ])('%s', (_name, object, expected) => {
    expect(row(object)).toEqual(expected);
  });

  // Expected values come from TRL 1.16's extract_prompt.
  it.each([
    ['The sky is blue', 'The sky is green', 'The sky is', ' blue', ' green'],
    ['Hello', 'Help', 'Hel', 'lo', 'p'],
    ['ab', 'abc', 'a', 'b', 'bc'],
    ['🙂x', '🙃x', '', '🙂x', '🙃x'],
    ['x y', 'z', '', 'x y', 'z'],
  ])('implicit prompt of %j and %j', (chosen, rejected, prompt, a, b) => {
    expect(row({ chosen, rejected })).toEqual({ kind: 'pair', prompt, chosen: a, rejected: b });
  });

  it('implicit prompt of messages', () => {
    const start = [user('p'), assistant('q'), user('r')];
    expect(row({ chosen: [...start, assistant('c')], rejected: [...start, assistant('d')] })).toEqual({
      kind: 'pair',
      prompt: start,
      chosen: [assistant('c')],
      rejected: [assistant('d')],
    });
  });
});

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
    [{ prompt: 'p', completion: 'c', tools: [{}] }, 'has tools, which can not be used yet'],
  ])('%j', (object, sentence) => {
    expect(reason(object)).toContain(sentence);
  });

  it('and equal sides are remarked', () => {
    const { rows, remarks } = rowsFromObjects([{ prompt: 'p', chosen: 'c', rejected: 'c' }]);
    expect(rows).toHaveLength(1);
    expect(remarks[0].reason).toContain('equal chosen and rejected');
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

  const folder = mkdtempSync(join(tmpdir(), 'rows-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are read from disk', async () => {
    const path = join(folder, 'a.jsonl');
    writeFileSync(path, lines.join('\n'));
    const { rows } = await readRows(path);
    expect(rows.map(({ origin }) => origin)).toEqual([
      { file: path, line: 1 },
      { file: path, line: 3 },
    ]);
    await expect(readRows(join(folder, 'absent.jsonl'))).rejects.toThrow('can not be read');
    await expect(readRows(join(folder, 'a.parquet'))).rejects.toThrow('convert it to .jsonl');
  });
});

describe('conversion', () => {
  const source = rowsFromObjects([
    { prompt: 'a', chosen: 'a+', rejected: 'a-' },
    { prompt: 'b', completion: 'b-', label: false },
    { prompt: 'c', completion: 'c' },
    { prompt: 'd', chosen: 'd+', rejected: 'd-' },
    { prompt: 'e', completion: 'e+', label: true },
    { nothing: 1 },
  ]);
  const lines = (notes: readonly { origin: { line: number } }[]) => notes.map(({ origin }) => origin.line);

  it('to pairs', () => {
    const { rows, leftOut } = asPairs(source);
    expect(rows.map(({ chosen }) => chosen)).toEqual(['a+', 'd+']);
    expect(lines(leftOut)).toEqual([6, 2, 3, 5]);
  });

  it("to judged completions, in TRL's order", () => {
    const { rows, leftOut } = asUnpaired(source);
    expect(rows.map(({ completion, label }) => [completion, label])).toEqual([
      ['a+', true],
      ['b-', false],
      ['d+', true],
      ['e+', true],
      ['a-', false],
      ['d-', false],
    ]);
    expect(lines(leftOut)).toEqual([6, 3]);
  });

  it('to completions', () => {
    const { rows, leftOut } = asCompletions(source);
    expect(rows.map(({ completion }) => completion)).toEqual(['a+', 'c', 'd+', 'e+']);
    expect(lines(leftOut)).toEqual([6, 2]);
  });
});

const pairs = fetched('dpo_en_demo.json');
const judged = fetched('kto_en_demo.json');
describe.skipIf(!pairs || !judged)(`LLaMA-Factory's demo data ${needsFetched}`, () => {
  it('has 300 pairs', async () => {
    const { rows, leftOut } = asPairs(await readRows(pairs ?? ''));
    expect([rows.length, leftOut.length]).toEqual([300, 0]);
    const turns = rows.map(({ prompt }) => prompt.length);
    expect([turns.filter((n) => n === 1).length, Math.max(...turns)]).toEqual([114, 13]);
    expect(
      new Set(
        rows.flatMap(({ prompt }) => (typeof prompt === 'string' ? [] : prompt.map(({ role }) => role))),
      ),
    ).toEqual(new Set(['user', 'assistant', 'system']));
  });

  it('has 300 judged completions, half of them desirable', async () => {
    const { rows, leftOut } = asUnpaired(await readRows(judged ?? ''));
    expect([rows.length, leftOut.length]).toEqual([300, 0]);
    expect(rows.filter(({ label }) => label)).toHaveLength(150);
  });
});
