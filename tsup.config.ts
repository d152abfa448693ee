import { defineConfig } from 'tsup';
import { rawText } from './rawText.ts';

export default defineConfig({
  entry: {
    index: 'index.ts',
    engine: 'engine/index.ts',
    models: 'models/index.ts',
    trainer: 'trainer/index.ts',
    cli: 'cli/main.ts',
  },
  format: ['esm'],
  target: 'es2022',
  platform: 'neutral',
  external: [/^node:/],
  removeNodeProtocol: false,
  loader: { '.wgsl': 'text', '.wasm': 'binary' },
  esbuildPlugins: [rawText],
  splitting: true,
  sourcemap: true,
  clean: true,
  dts: process.env.DTS ? { entry: { index: "index.ts", engine: "engine/index.ts", models: "models/index.ts", trainer: "trainer/index.ts" }, compilerOptions: { ignoreDeprecations: "6.0" } } : false,
});
