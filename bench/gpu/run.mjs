// @ts-check
// npm run bench:gpu: bundles the GPU's bench and the engine's sources for Node, then runs it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'tsup';

const here = import.meta.dirname;
const outDir = join(here, '..', 'build');
await build({
  config: false,
  silent: true,
  entry: { gpu: join(here, 'main.ts') },
  outDir,
  format: ['esm'],
  target: 'es2022',
  platform: 'node',
  external: ['commander', 'webgpu'],
  loader: { '.wasm': 'binary', '.wgsl': 'text' },
  outExtension: () => ({ js: '.mjs' }),
});
await import(pathToFileURL(join(outDir, 'gpu.mjs')).href);
