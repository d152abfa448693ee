import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import { rawText } from '../../rawText.ts';

export const root = join(import.meta.dirname, '../..');

/** A folder of this test file, from which the packages of test/runtimes are found. */
const builds = join(import.meta.dirname, 'build');
mkdirSync(builds, { recursive: true });
export const scratch = mkdtempSync(join(builds, 'run-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/**
 * Makes one ES module of tune.ts or ops.ts; its path. `prefgrad` is what lies in dist: as it is there for `node`, and
 * inside the module for `browser`, as a bundler without options puts it.
 */
export async function bundle(name: 'tune' | 'ops', platform: 'node' | 'browser'): Promise<string> {
  const outfile = join(scratch, `${name}.${platform}.mjs`);
  const built = join(root, 'dist', 'index.js');
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    platform,
    format: 'esm',
    // No tsconfig.json: it says that prefgrad is the sources.
    tsconfigRaw: {},
    loader: { '.wasm': 'binary', '.wgsl': 'text' },
    plugins: [
      rawText,
      {
        name: 'prefgrad is dist',
        setup({ onResolve }) {
          onResolve({ filter: /^prefgrad$/ }, () =>
            platform === 'node' ? { path: pathToFileURL(built).href, external: true } : { path: built },
          );
        },
      },
    ],
    logLevel: 'error',
  });
  return outfile;
}
