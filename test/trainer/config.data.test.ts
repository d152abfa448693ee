import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../trainer/config.ts';
import { resolvePaths } from '../../trainer/config.node.ts';

const config = (keys: Record<string, unknown>) =>
  parseConfig({ model: 'm', data: 'a.jsonl', method: 'dpo', ...keys }, { source: 'c.yaml' });

describe('data', () => {
  it('is one file, several, or a mixture', () => {
    expect(config({ data: [{ path: 'a.jsonl' }] }).data).toBe('a.jsonl');
    const both = [
      { path: 'a.jsonl', weight: null },
      { path: 'b.csv', weight: null },
    ];
    expect(config({ data: ['a.jsonl', { path: 'b.csv' }] }).data).toEqual(both);
    expect(config({ eval_data: ['a.jsonl', 'b.csv'] }).evalData).toEqual(both);
    const weights = [
      { path: 'a.jsonl', weight: 0.7 },
      { path: 'b.csv', weight: 0.3 },
    ];
    expect(config({ data: weights }).data).toEqual(weights);
  });

  it('at an address stays as it is, a path becomes absolute', () => {
    const address = 'https://example.org/rows.parquet?a=b';
    const { data, evalData } = resolvePaths(
      config({
        data: [
          { path: address, weight: 1 },
          { path: 'a.jsonl', weight: 2 },
        ],
        eval_data: address,
      }),
    );
    expect(data).toEqual([
      { path: address, weight: 1 },
      { path: resolve('a.jsonl'), weight: 2 },
    ]);
    expect(evalData).toBe(address);
  });

  it.each([
    [{ data: [3] }, 'data[0]: got 3, expected the path or https:// address of a .jsonl'],
    [{ data: [] }, 'data: got [], expected'],
    [{ eval_data: '' }, 'eval_data: got "", expected'],
    [{ data: ['a', ''] }, 'data[1]: got "", expected the path or https:// address of a .jsonl'],
    [{ data: [{ weight: 1 }] }, 'data[0].path: is missing, expected the path'],
    [{ data: [{ path: 'a', weight: 0 }] }, 'data[0].weight: got 0, expected a number above 0'],
    [{ data: [{ path: 'a', wieght: 1 }] }, 'data[0].wieght: is no key of a data file; did you mean weight?'],
    [
      { data: ['a', { path: 'b', weight: 1 }] },
      'data: 1 of 2 files have a weight; give one to each, or to none',
    ],
    [
      { eval_data: [{ path: 'b', weight: 1 }] },
      'eval_data: has weights, but held-out rows are measured once each',
    ],
  ])('%j', (keys, sentence) => {
    expect(() => config(keys)).toThrow(`c.yaml: ${sentence}`);
  });
});
