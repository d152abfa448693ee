import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { NOISY } from './contention.ts';
import { describeMachine } from './machine.ts';
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

/** Milliseconds between attempts on a busy machine, and in all of a run. */
const PAUSE = 10_000;
const PATIENCE = 20 * 60_000;

/** Measures cells when other processes leave the machine alone; runs out of patience after a while. */
class Quiet {
  #waited = 0;

  async measure(cell: Cell, seconds: number): Promise<Answer> {
    let best = await measureCell(cell, seconds);
    while (best.others > NOISY && this.#waited < PATIENCE) {
      process.stderr.write(`others take ${best.others} cores; waiting\n`);
      await setTimeout(PAUSE);
      this.#waited += PAUSE;
      const next = await measureCell(cell, seconds);
      if (next.others < best.others) best = next;
    }
    return best;
  }
}

/**
 * Measures everything, round after round so that each number has samples from different minutes, and prints the
 * tables; a full run also writes bench/results.json and the tables of bench/RESULTS.md.
 */
export async function runSuite({ quick, rounds }: { quick: boolean; rounds: number }): Promise<void> {
  const runtimes = findRuntimes();
  const sections = quick ? quickSections(runtimes) : fullSections(runtimes);
  const cells = sections.flatMap((s) => s.rows.flatMap((r) => r.cells));
  const found = new Map<string, Result>();
  const quiet = new Quiet();
  for (let round = 1; round <= (quick ? 1 : rounds); round++)
    for (const [i, cell] of cells.entries()) {
      const { kind, options, runtime } = cell;
      const key = keyOf(cell, runtime.name);
      const answer = quick ? await measureCell(cell, 0.2) : await quiet.measure(cell, 2);
      const before = found.get(key);
      const samples = [...(before?.samples ?? []), ...answer.samples];
      const unit = answer.gflops === undefined ? 'ms' : 'gflops';
      const others = Math.max(before?.others ?? 0, answer.others);
      found.set(key, {
        ...{ kind, options, runtime: runtime.name, unit },
        ...{ median: median(samples), samples, others },
      });
      const now = median(answer.samples);
      process.stderr.write(`round ${round}, ${i + 1} of ${cells.length}: ${key}: ${now} ${unit}\n`);
    }
  const results = [...found.values()];
  process.stdout.write(`${sections.map((s) => table(s, results)).join('\n\n')}\n`);
  if (quick) return;
  const machine = describeMachine();
  await writeFile(join('bench', 'results.json'), `${JSON.stringify({ machine, results }, null, 1)}\n`);
  const file = join('bench', 'RESULTS.md');
  await writeFile(file, replaceTables(await readFile(file, 'utf8'), machine, sections, results));
}
