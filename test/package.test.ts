import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { exports, version } from '../package.json';
import { loadConfig } from '../trainer/config.node.ts';
import { fresh } from './trainer/runs.ts';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The blocks of a language in README.md. */
const blocks = (language: string): string[] =>
  Array.from(
    readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms')),
    ([, code]) => code ?? '',
  );

/** What a plain Node process prints; the package is dist/, as `npm test` has just built it. */
async function node(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return stdout;
}
const runModule = (code: string) => node('--input-type=module', '--eval', code);

describe('the built package', () => {
  it('has all that its exports name', async () => {
    const names = Object.keys(exports).filter((name) => name !== './package.json');
    const specifiers = names.map((name) => name.replace(/^\./, 'prefgrad'));
    const code = `for (const name of ${JSON.stringify(specifiers)}) console.log(name, Object.keys(await import(name)).length > 3);`;
    expect(await runModule(code)).toBe(specifiers.map((name) => `${name} true\n`).join(''));
  });

  it('says its version', async () => {
    expect(await node('dist/cli.js', '--version')).toBe(`${version}\n`);
  });

  it('has one engine, whichever export it comes from', async () => {
    const code =
      "const [a, b] = await Promise.all([import('prefgrad'), import('prefgrad/engine')]); console.log(a.matmul === b.matmul, a.PrefgradError === b.PrefgradError);";
    expect(await runModule(code)).toBe('true true\n');
  });
});

describe('README.md', () => {
  it('has a library example that runs', async () => {
    const [example, ...others] = blocks('ts');
    expect(others).toEqual([]);
    const printed = await runModule(example);
    // loss = Σ x·x = 54; ∂loss/∂x[i][j] = the sum of x's row j plus that of its column i
    expect(printed).toContain('54');
    expect(printed).toMatch(/7,\s+11,\s+9,\s+13/);
  });

  it('has a configuration without a mistake', () => {
    const [yaml = ''] = blocks('yaml');
    const path = join(fresh('readme'), 'hpo.yaml');
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, yaml);
    expect(loadConfig(path)).toMatchObject({
      method: 'hpo',
      rewards: [{ name: 'reading_level' }, { name: 'polite', weight: 0.5 }],
    });
  });
});
