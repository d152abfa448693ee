import { join } from 'node:path';
import { defineConfig } from 'tsup';
import { rawText } from '../rawText.ts';

const here = join(process.cwd(), 'bench');

/** One module that a page imports. */
export default defineConfig({
  silent: true,
  entry: { browser: join(here, 'browser.ts') },
  outDir: join(here, 'build'),
  format: ['esm'],
  target: 'es2022',
  platform: 'browser',
  splitting: false,
  noExternal: [/.*/],
  external: [/^node:/],
  loader: { '.wgsl': 'text', '.wasm': 'binary' },
  esbuildPlugins: [rawText],
  outExtension: () => ({ js: '.mjs' }),
});
