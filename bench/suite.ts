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

/** Milliseconds between attempts on a busy machine, and for how long a run may go on trying. */
const PAUSE = 3_000;
const PATIENCE = 20 * 60_000;

/** Measures cells when other processes leave the machine alone; runs out of patience after a while. */
class Quiet {
  #spent = 0;

  async measure(cell: Cell, seconds: number): Promise<Answer> {
    let best = await measureCell(cell, seconds);
    const began = performance.now();
    while (best.others > NOISY && this.#spent + performance.now() - began < PATIENCE) {
      await setTimeout(PAUSE);
      const next = await measureCell(cell, seconds);
      process.stderr.write(`the machine is busy: others took ${next.others} cores\n`);
      if (next.others < best.others) best = next;
    }
    this.#spent += performance.now() - began;
    return best;
  }
}

/** A cell's result with one more round: the samples together, but none of a busy machine beside those of a quiet one. */
function merge(before: Result | undefined, cell: Cell, answer: Answer): Result {
  const quiet = [before, answer].filter((r) => r !== undefined && r.others <= NOISY);
  const counted = (quiet.length > 0 ? quiet : [before, answer]).filter((r) => r !== undefined);
  const samples = counted.flatMap((r) => r.samples);
  return {
    kind: cell.kind,
    options: cell.options,
    runtime: cell.runtime.name,
    unit: answer.gflops === undefined ? 'ms' : 'gflops',
    median: median(samples),
    others: Math.max(...counted.map((r) => r.others)),
    samples,
  };
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
      const key = keyOf(cell, cell.runtime.name);
      const answer = quick ? await measureCell(cell, 0.2) : await quiet.measure(cell, 1.5);
      const result = merge(found.get(key), cell, answer);
      found.set(key, result);
      const now = `${median(answer.samples)} ${result.unit}`;
      process.stderr.write(`round ${round}, ${i + 1} of ${cells.length}: ${key}: ${now}\n`);
    }
  const results = [...found.values()];
  process.stdout.write(`${sections.map((s) => table(s, results)).join('\n\n')}\n`);
  if (quick) return;
  const machine = describeMachine();
  // A line for each result.
  const lines = results.map((r) => JSON.stringify(r)).join(',\n');
  const json = `{"machine": ${JSON.stringify(machine)},\n"results": [\n${lines}\n]}\n`;
  await writeFile(join('bench', 'results.json'), json);
  const file = join('bench', 'RESULTS.md');
  await writeFile(file, replaceTables(await readFile(file, 'utf8'), machine, sections, results));
}
