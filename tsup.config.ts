import { defineConfig } from 'tsup';
import { rawText } from './rawText.ts';

/** What users import, as in package.json's exports. */
export const library = {
  index: 'index.ts',
  engine: 'engine/index.ts',
  models: 'models/index.ts',
  trainer: 'trainer/index.ts',
  node: 'trainer/index.node.ts',
};

export default defineConfig({
  entry: { ...library, cli: 'cli/main.ts' },
  format: ['esm'],
  target: 'es2022',
  platform: 'neutral',
  external: [/^node:/],
  removeNodeProtocol: false,
  loader: { '.wgsl': 'text', '.wasm': 'binary' },
  esbuildPlugins: [rawText],
  splitting: true,
  sourcemap: true,
  // keeps what tsup.types.config.ts has made
  clean: ['!**/*.d.ts'],
});
