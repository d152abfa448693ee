// @ts-check
// npm run bench: bundles the bench and the engine's sources for Node, then runs it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'tsup';

const here = import.meta.dirname;
await build({
  config: false,
  silent: true,
  entry: { main: join(here, 'main.ts') },
  outDir: join(here, 'build'),
  format: ['esm'],
  target: 'es2022',
  platform: 'node',
  external: ['benchmark', 'gpu.js', 'commander'],
  loader: { '.wasm': 'binary', '.wgsl': 'text' },
  outExtension: () => ({ js: '.mjs' }),
});
await import(pathToFileURL(join(here, 'build', 'main.mjs')).href);
