import { readFile } from 'node:fs/promises';
import type { Options } from 'tsup';

/** Teaches esbuild what Vite does natively: `import text from './file.css?raw'` is the file's text. */
export const rawText: NonNullable<Options['esbuildPlugins']>[number] = {
  name: 'rawText',
  setup(build) {
    build.onResolve({ filter: /\?raw$/ }, async ({ path, kind, resolveDir }) => {
      const found = await build.resolve(path.slice(0, -'?raw'.length), { kind, resolveDir });
      return found.errors.length > 0 ? { errors: found.errors } : { path: found.path, namespace: 'raw' };
    });
    build.onLoad({ filter: /.*/, namespace: 'raw' }, async ({ path }) => ({
      contents: await readFile(path, 'utf8'),
      loader: 'text',
      watchFiles: [path],
    }));
  },
};
