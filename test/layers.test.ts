import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { dependencies } from '../package.json';
import { rawText } from '../rawText.ts';

const root = join(import.meta.dirname, '..');

/** Everything that a module loads before it runs: its static imports and theirs. */
async function loadedBy(entry: string): Promise<{ files: string[]; packages: string[] }> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'dist',
    format: 'esm',
    platform: 'neutral',
    external: ['node:*', ...Object.keys(dependencies)],
    loader: { '.wgsl': 'text', '.wasm': 'binary' },
    plugins: [rawText],
  });
  const files = new Set([entry]);
  const packages = new Set<string>();
  for (const file of files)
    for (const { path, kind, external } of metafile.inputs[file]?.imports ?? [])
      if (kind === 'import-statement') (external ? packages : files).add(path);
  return { files: [...files], packages: [...packages] };
}

describe('what browsers import', () => {
  it.each(['index.ts', 'engine/index.ts', 'models/index.ts', 'trainer/index.ts'])(
    '%s needs nothing of Node before it runs',
    async (entry) => {
      const { files, packages } = await loadedBy(entry);
      expect(files.length).toBeGreaterThan(20);
      expect(files.filter((file) => file.includes('.node.'))).toEqual([]);
      expect(packages.filter((name) => name.startsWith('node:'))).toEqual([]);
    },
  );

  it('sees the imports that it is to find', async () => {
    const { files, packages } = await loadedBy('trainer/index.node.ts');
    expect(files).toContain('trainer/train.node.ts');
    expect(packages).toContain('node:fs/promises');
  });

  it('has an engine without dependencies', async () => {
    expect((await loadedBy('engine/index.ts')).packages).toEqual([]);
  });
});
