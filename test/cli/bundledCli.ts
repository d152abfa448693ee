import { join } from 'node:path';
import { build } from 'esbuild';
import { rawText } from '../../rawText.ts';

/** Bundles the command line of the present sources (or another program of this folder) into one file, for tests that need a process of their own. */
export async function bundleCli(outfile: string, entry = '../../cli/main.ts'): Promise<string> {
  await build({
    entryPoints: [join(import.meta.dirname, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    loader: { '.wasm': 'binary', '.wgsl': 'text' },
    plugins: [rawText],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return outfile;
}
