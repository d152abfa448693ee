import { PrefgradError } from '../engine/errors.ts';
import { paintFor, type Output } from './terminal.ts';

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends PrefgradError {
  override readonly name = 'UsageError';
}

/**
 * Says what went wrong on stderr and returns the exit code: a line for what a user can cure (2 where it is the
 * command line itself, 1 else), the stack and a request for anything else, which is a defect of ours.
 */
export function reportError(error: unknown, stderr: Output, version: string): number {
  const paint = paintFor(stderr);
  if (error instanceof PrefgradError) {
    // a configuration with several mistakes has a line for each
    for (const line of error.message.split('\n')) stderr.write(`${paint.error('prefgrad:')} ${line}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : `thrown: ${String(error)}`;
  stderr.write(
    `${paint.error('prefgrad:')} unexpected error; this is a defect of prefgrad. Please report it with these lines, ` +
      `the command and its configuration.\n${stack}\n(prefgrad ${version}, ${runtime()}, ${process.platform} ${process.arch})\n`,
  );
  return 1;
}

/** `Node 20.20.2`, `Bun 1.4.5`, `Deno 2.9.5`. */
function runtime(): string {
  const { bun, deno, node } = process.versions;
  return bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${node}`;
}
