import { version } from '../package.json';
import { reportError } from './errors.ts';
import { runCli, type Work } from './program.ts';
import { processTerminal } from './terminal.ts';

/** 128 + SIGPIPE, as programs end whose reader has gone (`prefgrad generate … | head -1`). */
const brokenPipe = 141;

/** Runs this process's command line and sets its exit code. */
export async function runProcess(work: Work): Promise<void> {
  const { stdout, stderr } = process;
  // results that nobody reads end the program; a training run outlives the reader of its progress
  stdout.on('error', (error: unknown) =>
    process.exit(isBrokenPipe(error) ? brokenPipe : reportError(error, stderr, version)),
  );
  stderr.on('error', (error: unknown) => {
    if (!isBrokenPipe(error)) process.exit(1);
  });
  process.on('uncaughtException', (error) => process.exit(reportError(error, stderr, version)));
  const context = { terminal: processTerminal(), signals: process, now: () => performance.now() / 1000 };
  process.exitCode = await runCli(process.argv.slice(2), context, work);
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
