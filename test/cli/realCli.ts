import { runCli } from '../../cli/program.ts';
import { work } from '../../cli/work.ts';
import { Screen } from './screen.ts';

/** Runs a command line in this process, with the real work behind it. */
export async function prefgrad(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const signals = { on: () => {}, off: () => {}, exit: () => {} };
  const context = { terminal: { stdout, stderr, live: false }, signals, now: () => performance.now() / 1000 };
  const code = await runCli(argv, context, work);
  return { code, out: stdout.raw, err: stderr.raw };
}
