import { defineConfig } from 'tsup';
import { library } from './tsup.config.ts';

/** The .d.ts files, apart from the rest: they take longest, and a clone can do without. */
export default defineConfig({
  entry: library,
  format: ['esm'],
  // tsup itself still sets baseUrl, which TypeScript 6 has deprecated
  clean: true,
  dts: { only: true, compilerOptions: { ignoreDeprecations: '6.0' } },
});
