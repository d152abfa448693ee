import { join } from 'node:path';
import { defineConfig } from 'tsup';
import { rawText } from '../rawText.ts';

const here = join(process.cwd(), 'bench');

export default defineConfig({
  silent: true,
  entry: { main: join(here, 'main.ts') },
  outDir: join(here, 'build'),
  format: ['esm'],
  target: 'es2022',
  platform: 'node',
  external: ['benchmark', 'gpu.js', 'commander', 'tsup'],
  loader: { '.wgsl': 'text', '.wasm': 'binary' },
  esbuildPlugins: [rawText],
  outExtension: () => ({ js: '.mjs' }),
});
