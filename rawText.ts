import { readFile } from 'node:fs/promises';
import type { Options } from 'tsup';

/** Teaches esbuild what Vite does natively: `import text from './file.css?raw'` is the file's text. */
export const rawText: NonNullable<Options['esbuildPlugins']>[number] = {
  name: 'rawText',
  setup(build) {
    // the path keeps ?raw, or tsup's own plugin would take a .css file from this one
    build.onResolve({ filter: /\?raw$/ }, async ({ path, kind, resolveDir }) => {
      const found = await build.resolve(path.slice(0, -'?raw'.length), { kind, resolveDir });
      return found.errors.length > 0
        ? { errors: found.errors }
        : { path: `${found.path}?raw`, namespace: 'raw' };
    });
    build.onLoad({ filter: /.*/, namespace: 'raw' }, async ({ path }) => ({
      contents: await readFile(path.slice(0, -'?raw'.length), 'utf8'),
      loader: 'text',
      watchFiles: [path.slice(0, -'?raw'.length)],
    }));
  },
};
