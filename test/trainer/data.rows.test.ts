import { describe, expect, it } from 'vitest';
import { asCompletions, asPairs, asUnpaired, rowsFromObjects, type Row } from '../../trainer/data/index.ts';
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
    [
      'a conversation and its tools as JSON texts, as columns of a table hold them',
      {
        messages: JSON.stringify([user('p'), assistant('c')]),
        tools: '[{"name": "f", "strict": null}]',
        chat_template_kwargs: { enable_thinking: false },
      },
      {
        kind: 'completion',
        prompt: [user('p')],
        completion: [assistant('c')],
        template: { enable_thinking: false, tools: [{ name: 'f' }] },
      },
    ],
    [
      "OpenAI's tool calls, Arrow's nulls left away",
      {
        prompt: [
          { ...user('p'), tool_calls: null, name: null },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ function: { name: 'f', arguments: { a: 1, b: null } } }],
          },
          { role: 'tool', content: '4', tool_call_id: 'x', tool_calls: null },
        ],
        chosen: [assistant('c')],
        rejected: [assistant('r')],
      },
      {
        kind: 'pair',
        prompt: [
          user('p'),
          { ...assistant(''), tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
          { role: 'tool', content: '4', tool_call_id: 'x' },
        ],
        chosen: [assistant('c')],
        rejected: [assistant('r')],
      },
    ],
    [
      "ShareGPT's function calls",
      {
        conversations: [
          { from: 'human', value: 'p' },
          { from: 'function_call', value: '{"name": "f", "arguments": {"a": 1}}' },
          { from: 'observation', value: '4' },
          { from: 'gpt', value: 'c' },
        ],
        tools: '[{"name": "f"}]',
      },
      {
        kind: 'completion',
        prompt: [
          user('p'),
          {
            ...assistant(''),
            tool_calls: [{ type: 'function', function: { name: 'f', arguments: { a: 1 } } }],
          },
          { role: 'tool', content: '4' },
        ],
        completion: [assistant('c')],
        template: { tools: [{ name: 'f' }] },
      },
    ],
    [
      'chosen and rejected that hold the question are an implicit prompt',
      { question: 'q?', chosen: 'q? yes', rejected: 'q? no' },
      { kind: 'pair', prompt: 'q?', chosen: ' yes', rejected: ' no' },
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
