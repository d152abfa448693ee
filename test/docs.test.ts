import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { knownKeys, parseConfig } from '../trainer/config.ts';
import { foreignKeys } from '../trainer/config/foreign.ts';
import { toSnake } from '../trainer/config/spelling.ts';

const root = join(import.meta.dirname, '..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Blocks of JavaScript, by the heading that they stand under. */
function examples(path: string): { title: string; code: string }[] {
  return text(path)
    .split(/^## /m)
    .flatMap((section) =>
      Array.from(section.matchAll(/^```js\n(.*?)^```/gms), ([, code]) => ({
        title: `${path}: ${section.split('\n')[0] ?? ''}`,
        code,
      })),
    );
}

/** What a plain Node process prints; the package is dist/, as `npm test` has just built it. */
async function run(code: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: root,
  });
  return stdout;
}

/** What an example must have printed, so that one that does nothing fails. */
const printed: Readonly<Record<string, RegExp>> = {
  'Load a model, and let it write': /\w+.*\n?.*\w+/,
  'In a page': /^load \d+ \d+\n(.*\n)*wasm.* \d+\n$/,
  'Score completions': /^-\d+\.\d+ \d+ -\d+\.\d+\n-\d+\.\d+\n$/,
  'Tune on preferences': /^1\/4 0\.6931 (.*\n)+4\/4 0\.\d+ \d+\.\d+\n$/,
  'For a goal that no pair states': /^2 \d.*\n4 .*\n6 .*\ndone 0?\.?\d+ 0\.\d+\n.+\n/,
  Adapters: /^3 \d{7,}\n.+\n$/,
  'Further down': /54(.|\n)*7,\s+11,\s+9,\s+13/,
  'As a library': /^1 \d+\.\d+\n2 .*\n3 .*\n.+/,
};

describe('the examples of the documentation', () => {
  const all = [...examples('docs/library.md'), ...examples('README.md')];

  it('are all found', () => {
    expect(all.map(({ title }) => title.replace(/^.*: /, ''))).toEqual(Object.keys(printed));
  });

  it.each(all)('$title', async ({ title, code }) => {
    expect(await run(code)).toMatch(printed[title.replace(/^.*?: /, '')] ?? /^$/);
  });
});

describe('docs/from-trl.md', () => {
  it('names no key that there is not', () => {
    const keys = new Set(knownKeys().map((key) => key.split('.')[0]));
    const [table = ''] = text('docs/from-trl.md').split('## Losses');
    const columns = table.split('\n').map((line) => line.split(/(?<!\\)\|/));
    const yaml = columns.flatMap((cells) =>
      Array.from((cells[3] ?? '').matchAll(/`(\w+): /g), ([, key]) => key),
    );
    const camel = columns.flatMap((cells) =>
      Array.from((cells[2] ?? '').matchAll(/\b([a-z]\w+): /gi), ([, key]) => key),
    );
    expect(yaml.length).toBeGreaterThan(8);
    expect(yaml.filter((key) => !keys.has(key))).toEqual([]);
    const own = new Set(['callbacks', 'signal', 'r', 'name']);
    expect(camel.filter((key) => !keys.has(toSnake(key)) && !own.has(key))).toEqual([]);
  });

  it('says of the right keys that an error gives the reason', () => {
    const row = text('docs/from-trl.md')
      .split('\n')
      .find((line) => line.includes('an error says why for each'));
    const keys = Array.from(row?.matchAll(/`(\w+)`/g) ?? [], ([, key]) => key);
    expect(keys.length).toBeGreaterThan(3);
    expect(keys.filter((key) => !foreignKeys.has(key))).toEqual([]);
  });

  it('has settings that are what it says', () => {
    for (const loss_type of ['cpo', 'simpo', 'orpo'])
      expect(
        parseConfig({ model: 'm', data: 'd', method: 'dpo', loss_type, add_bos: true }).lossType,
      ).toEqual([loss_type]);
    expect(
      parseConfig({ model: 'm', data: 'd', method: 'dpo', loss_type: 'simpo', cpo_alpha: 0 }).cpoAlpha,
    ).toBe(0);
  });
});
