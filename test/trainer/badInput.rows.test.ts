import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { prefgrad } from '../cli/realCli.ts';
import { expectRefused, trainCli, writeText } from './refused.ts';
import { fresh, writeRows } from './runs.ts';
import { textPairs, tinyConfig, writeTinyModel } from './tinyModel.ts';

let model = '';
let data = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'));
  data = writeRows(textPairs(5));
});

const train = (keys: Record<string, unknown>) => trainCli({ model, data, ...keys });

describe('rows', () => {
  const pair = { prompt: 'a', chosen: ' b', rejected: ' c' };

  it('longer than the model: cut at its context, and said, whatever max_length is', async () => {
    const long = writeRows([
      ...textPairs(3),
      { prompt: 'p', chosen: ' x'.repeat(90), rejected: ' y' },
      { prompt: 'p'.repeat(120), chosen: ' x', rejected: ' y' },
    ]);
    for (const given of [{ max_length: 200 }, {}]) {
      const { code, err } = await train({ ...given, data: long });
      expect(code).toBe(0);
      expect(err).toMatch(/1 row left out: \S+:5 \(has a prompt of 120 tokens, .* within max_length 96\)/);
      const limit = 'max_length' in given ? '200' : '1024';
      expect(err).toContain(
        `max_length is ${limit}, but the model's context is 96 tokens; 1 row was cut there`,
      );
    }
    const out = fresh('out');
    const argv = ['--model', model, '--data', long, '--max-length', '500', '--threads', '1'];
    const score = await prefgrad('score', ...argv, '--out', out);
    expect(score.code).toBe(0);
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    expect(
      lines.map((line) => (JSON.parse(line) as { chosen: { tokens: number } }).chosen.tokens).at(-1),
    ).toBe(95);
    const evaluated = await prefgrad('evaluate', ...argv, '--json');
    expect(evaluated.code).toBe(0);
    expect(evaluated.err).toContain("max_length is 500, but the model's context is 96 tokens");
    expect(JSON.parse(evaluated.out)).toMatchObject({ pairs: 4 });
  });

  it('that a reference of a shorter context cannot take: evaluate says so', async () => {
    const short = await writeTinyModel(fresh('model'), tinyConfig('llama', { max_position_embeddings: 20 }));
    const argv = ['evaluate', '--model', model, '--data', data, '--threads', '1', '--json'];
    const other = await prefgrad(...argv, '--reference', short);
    expect([other.code, other.out]).toEqual([1, '']);
    expect(other.err).toMatch(
      /--reference \S+ can use other rows of \S+ than \S+: [0-4] against 5; leave out/,
    );
    const same = await prefgrad(...argv, '--reference', model);
    expect(JSON.parse(same.out)).toMatchObject({ pairs: 5, 'rewards/margins': 0 });
  });

  it('without a completion are left out and listed; without any row left it is an error', async () => {
    const { code, err } = await train({ data: writeRows([pair, pair, { ...pair, chosen: '' }]) });
    expect(code).toBe(0);
    expect(err).toMatch(/1 row left out: \S+:3 \(has an empty chosen\)/);
    expectRefused(
      await train({ data: writeRows([{ ...pair, rejected: '' }]) }),
      /has no row that can be used: 1 row left out: \S+:1 \(has an empty rejected\)/,
    );
    expectRefused(await train({ data: writeText('empty.jsonl', '') }), /it holds no rows/);
  });

  it('that are no JSON: file and line', async () => {
    const path = writeText('bad.jsonl', `${JSON.stringify(pair)}\n{"prompt": "a", "chosen": \n`);
    expectRefused(
      await train({ data: path }),
      /bad\.jsonl-\d+:2: is not valid JSON: .*every line must hold one/,
    );
    expectRefused(await train({ data: '/nothing.jsonl' }), /\/nothing\.jsonl: can not be read/);
  });

  it('of KTO that are paired with none of another prompt: before the first step', async () => {
    const rows = textPairs(5).map(({ prompt, chosen }, i) => ({
      prompt,
      completion: chosen,
      label: i % 2 === 0,
    }));
    const kto = { method: 'kto', max_steps: -1, num_train_epochs: 1 };
    const same = writeRows(rows.map((row) => ({ ...row, prompt: 'same' })));
    expectRefused(await train({ ...kto, data: same }), /the batch of \S+:1, \S+:2 has no KL completion/);
    // Only the last batch of the epoch is left with one row.
    expectRefused(
      await train({ ...kto, data: writeRows(rows) }),
      /the batch of \S+:5 has no KL completion, .* single row over/,
    );
    const unlabelled = writeRows(rows.map(({ prompt, completion }) => ({ prompt, completion })));
    expectRefused(
      await train({ ...kto, data: unlabelled }),
      /\S+:1 \(has no label, expected true or false\)/,
    );
  });
});
