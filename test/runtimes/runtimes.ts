import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Where scripts/runtimes puts the packages. */
export const packages = join(import.meta.dirname, 'node_modules');

export interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
  /** Why its tests are left out, or '' where they run. */
  readonly missing: string;
}

function installed(name: string, binary: string, ...args: string[]): Runtime {
  const path = join(packages, '.bin', binary);
  const missing = existsSync(path) ? '' : `(skipped: bash scripts/runtimes installs ${name})`;
  return { name, command: [path, ...args], missing };
}

export const node: Runtime = { name: 'Node', command: [process.execPath], missing: '' };
export const deno = installed('Deno', 'deno', 'run', '--allow-all');
export const bun = installed('Bun', 'bun');

const browser = '/usr/bin/chromium';
export const chromium: Runtime = {
  name: 'Chromium',
  command: [browser],
  missing:
    existsSync(browser) && existsSync(join(packages, 'playwright-core'))
      ? ''
      : '(skipped: bash scripts/runtimes installs Chromium)',
};

/** Runs a program of a runtime's; what it prints. Errors: an exit status that is not 0, with what it printed. */
export async function spawn(
  { command: [program = '', ...before] }: Runtime,
  ...args: string[]
): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...before, ...args]);
  return stdout;
}

/** What `run` of a module that `bundle` made says to a job, in a process of its own. */
export async function ask(runtime: Runtime, module: string, job: unknown): Promise<unknown> {
  return JSON.parse(await spawn(runtime, join(import.meta.dirname, 'host.mjs'), module, JSON.stringify(job)));
}
