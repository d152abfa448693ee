// @ts-check
// Compiles the kernels to build/plain.wasm and build/relaxed.wasm, where a source is newer than they are.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const asc = join(
  dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')),
  'bin/asc.js',
);
/** @param {string} file */
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const kernels = join(here, 'kernels');
const sources = [...readdirSync(kernels).map((f) => join(kernels, f)), join(here, 'asconfig.json')];
const newest = Math.max(...sources.map(changed));
mkdirSync(join(here, 'build'), { recursive: true });
for (const target of ['plain', 'relaxed']) {
  if (changed(join(here, 'build', `${target}.wasm`)) > newest) continue;
  const args = [asc, '--config', 'asconfig.json', '--target', target];
  spawn(process.execPath, args, { cwd: here, stdio: 'inherit' }).on('close', (code) => {
    if (code !== 0) process.exitCode = 1;
  });
}
