// @ts-check
// Compiles the kernels for each target of asconfig.json, to build/TARGET.wasm, and the register tile alone, to
// build/TARGET.tile.wasm; not where they are newer than the sources.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const asc = join(
  dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')),
  'bin/asc.js',
);
/** @param {string} file */
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const kernels = join(here, 'kernels');
const config = join(here, 'asconfig.json');
const sources = [...readdirSync(kernels).map((f) => join(kernels, f)), config];
const newest = Math.max(...sources.map(changed));
const { targets } = /** @type {{ targets: Record<string, object> }} */ (
  JSON.parse(readFileSync(config, 'utf8'))
);
const entries = [
  { entry: 'kernels/index.ts', ending: '.wasm', options: [] },
  // One page of memory is enough for a tile.
  { entry: 'kernels/tile.ts', ending: '.tile.wasm', options: ['--initialMemory', '1'] },
];
const stale = entries.flatMap(({ entry, ending, options }) =>
  Object.keys(targets)
    .map((target) => ({ target, entry, options, file: `build/${target}${ending}` }))
    .filter(({ file }) => changed(join(here, file)) <= newest),
);

/** Compiles what is left, one after the other. */
async function compile() {
  for (let next = stale.shift(); next !== undefined; next = stale.shift()) {
    const { target, entry, file, options } = next;
    const args = [asc, entry, ...options, '--target', target, '--outFile', file];
    await new Promise((resolve) =>
      spawn(process.execPath, args, { cwd: here, stdio: 'inherit' }).on('close', (code) => {
        if (code !== 0) process.exitCode = 1;
        resolve(undefined);
      }),
    );
  }
}

mkdirSync(join(here, 'build'), { recursive: true });
await Promise.all(Array.from({ length: availableParallelism() }, compile));
