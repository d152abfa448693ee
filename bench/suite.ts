import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { currentLoad, describeMachine } from './machine.ts';
import type { Answer, Result } from './measurement.ts';
import { commandLine, median } from './measurement.ts';
import { findRuntimes } from './runtimes.ts';
import type { Cell } from './sections.ts';
import { fullSections, quickSections } from './sections.ts';
import { keyOf, replaceTables, table } from './tables.ts';

const run = promisify(execFile);

/** Measures a cell in a process of its own. Errors: what the process said. */
async function measureCell(cell: Cell, seconds: number): Promise<Answer> {
  const main = join('bench', 'build', 'main.mjs');
  const args = [main, ...commandLine(cell), '--seconds', `${seconds}`, '--samples'];
  const { stdout } = await run(cell.runtime.command, args);
  return JSON.parse(stdout) as Answer;
}

/**
 * Measures everything, round after round so that each number has samples from different minutes, and prints the
 * tables; a full run also writes bench/results.json and the tables of bench/RESULTS.md.
 */
export async function runSuite({ quick, rounds }: { quick: boolean; rounds: number }): Promise<void> {
  const load = currentLoad();
  const runtimes = findRuntimes();
  const sections = quick ? quickSections(runtimes) : fullSections(runtimes);
  const cells = sections.flatMap((s) => s.rows.flatMap((r) => r.cells));
  const found = new Map<string, Result>();
  for (let round = 1; round <= (quick ? 1 : rounds); round++)
    for (const [i, cell] of cells.entries()) {
      const { kind, options, runtime } = cell;
      const key = keyOf(cell, runtime.name);
      const { gflops, samples } = await measureCell(cell, quick ? 0.2 : 2);
      const all = [...(found.get(key)?.samples ?? []), ...samples];
      const unit = gflops === undefined ? 'ms' : 'gflops';
      found.set(key, { kind, options, runtime: runtime.name, unit, median: median(all), samples: all });
      process.stderr.write(
        `round ${round}, ${i + 1} of ${cells.length}: ${key}: ${median(samples)} ${unit}\n`,
      );
    }
  const results = [...found.values()];
  process.stdout.write(`${sections.map((s) => table(s, results)).join('\n\n')}\n`);
  if (quick) return;
  const machine = describeMachine(load);
  await writeFile(join('bench', 'results.json'), `${JSON.stringify({ machine, results }, null, 1)}\n`);
  const file = join('bench', 'RESULTS.md');
  await writeFile(file, replaceTables(await readFile(file, 'utf8'), machine, sections, results));
}
