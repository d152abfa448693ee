import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import { rawText } from '../../rawText.ts';

export const root = join(import.meta.dirname, '../..');

let folder: string | undefined;
afterAll(() => folder && rmSync(folder, { recursive: true, force: true }));

/** A folder of this test file, from which the packages of test/runtimes are found. */
export function scratch(): string {
  const builds = join(import.meta.dirname, 'build');
  mkdirSync(builds, { recursive: true });
  return (folder ??= mkdtempSync(join(builds, 'run-')));
}

/**
 * Makes one ES module of tune.ts or ops.ts; its path. `prefgrad` is what lies in dist: as it is there for `node`, and
 * inside the module for `browser`, as a bundler puts it that is told nothing of it.
 */
export async function bundle(name: 'tune' | 'ops', platform: 'node' | 'browser'): Promise<string> {
  const outfile = join(scratch(), `${name}.${platform}.mjs`);
  const built = join(root, 'dist', 'index.js');
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    outfile,
    bundle: true,
    platform,
    format: 'esm',
    minify: platform === 'browser',
    // No tsconfig.json: it says that prefgrad is the sources.
    tsconfigRaw: {},
    loader: { '.wasm': 'binary', '.wgsl': 'text' },
    plugins: [
      rawText,
      {
        name: 'prefgrad is dist',
        setup(esbuild) {
          esbuild.onResolve({ filter: /^prefgrad$/ }, () =>
            platform === 'node' ? { path: pathToFileURL(built).href, external: true } : { path: built },
          );
        },
      },
    ],
    logLevel: 'error',
  });
  return outfile;
}
