import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Cell, Section } from './cells.ts';
import { findContenders } from './contenders.ts';
import { NOISY } from './contention.ts';
import { describeMachine } from './machine.ts';
import type { Answer, Result } from './measurement.ts';
import { WHOLE_RUNS, median, rounded, unitOf } from './measurement.ts';
import { askRuntime, findNodes } from './runtimes.ts';
import { fullSections, quickSections } from './sections.ts';
import { keyOf, plots, replaceTables, table } from './tables.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Measures a cell in a process of its own. Errors: what the process said. */
async function measureCell(cell: Cell, seconds: number): Promise<Answer> {
  const effort = WHOLE_RUNS.has(cell.kind) ? [] : ['--seconds', `${seconds}`];
  return JSON.parse(await askRuntime(cell.runtime, cell, [...effort, '--samples'])) as Answer;
}

/** Milliseconds between attempts on a busy machine. */
const PAUSE = 3_000;

/** Measures cells when other processes leave the machine alone; runs out of patience after a while. */
class Quiet {
  #spent = 0;

  /** Milliseconds for which a run may go on trying. */
  constructor(private readonly patience: number) {}

  async measure(cell: Cell, seconds: number): Promise<Answer> {
    let best = await measureCell(cell, seconds);
    const began = performance.now();
    while (best.others > NOISY && this.#spent + performance.now() - began < this.patience) {
      await setTimeout(PAUSE);
      const next = await measureCell(cell, seconds);
      say(`the machine is busy: others took ${next.others} cores`);
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
    unit: unitOf(answer),
    median: rounded(median(samples)),
    others: Math.max(...counted.map((r) => r.others)),
    samples,
    ...(answer.also ? { also: answer.also, steps: answer.steps } : {}),
  };
}

/** Each measurement once, though several tables show it. */
function cellsOf(sections: readonly Section[]): Cell[] {
  const cells = new Map<string, Cell>();
  for (const { rows } of sections)
    for (const cell of rows.flatMap((r) => r.cells))
      if (cell) cells.set(keyOf(cell, cell.runtime.name), cell);
  return [...cells.values()];
}

/** What Python's programs read; made by this program's own commands. */
async function prepare(sections: readonly Section[]): Promise<void> {
  const kinds = new Set(cellsOf(sections).map((cell) => cell.kind));
  const main = join('bench', 'build', 'main.mjs');
  const command = (name: string) => promisify(execFile)(process.execPath, [main, name]);
  if (kinds.has('torch-step')) await command('export-step');
  if (['dpo', 'hpo', 'decode'].some((kind) => kinds.has(kind as Cell['kind']))) await command('export-dpo');
}

/** How far two programs' first log-probs may be apart, relatively: bf16 has 8 bits. */
const AGREEMENT = { float32: 1e-3, bf16: 3e-2 };

/** End-to-end runs of the same pairs that do not begin with the same log-probs, as sentences. */
function disagreements(results: readonly Result[]): string[] {
  const first = ({ also }: Result): number => also?.['first_logps_chosen'] ?? NaN;
  const trl = results.filter((r) => r.kind === 'trl-dpo');
  return results
    .filter((r) => r.kind === 'dpo')
    .flatMap((ours) =>
      trl
        .filter(({ options }) => options['batch'] === ours.options['batch'])
        .filter((theirs) => {
          const most = AGREEMENT[theirs.options['precision'] === 'bf16' ? 'bf16' : 'float32'];
          return !(Math.abs(first(ours) - first(theirs)) <= most * Math.abs(first(theirs)));
        })
        .map((theirs) => `prefgrad begins with log-probs ${first(ours)}, TRL with ${first(theirs)}`),
    );
}

export interface SuiteOptions {
  readonly quick: boolean;
  /** Part of the titles of the tables that are wanted. */
  readonly only?: string | undefined;
  readonly rounds: number;
  /** Minutes to wait in all for a machine that others have left. */
  readonly patience: number;
}

/**
 * Measures everything, round after round so that each number has samples from different minutes, and prints the
 * tables; a full run also writes bench/results.json, the tables of bench/RESULTS.md, and the plots. Errors, when all of
 * that is done: what could not be measured, or did not compute the same.
 */
export async function runSuite({ quick, only, rounds, patience }: SuiteOptions): Promise<void> {
  const contenders = quick ? undefined : findContenders();
  for (const line of contenders?.missing ?? []) say(`left out: ${line}`);
  const all = contenders ? fullSections(contenders) : quickSections(findNodes());
  const sections = all.filter(({ title }) => title.toLowerCase().includes((only ?? '').toLowerCase()));
  if (sections.length === 0)
    throw new Error(`no table's title has ${only}; there are:\n${all.map((s) => s.title).join('\n')}`);
  await prepare(sections);
  const found = new Map<string, Result>();
  const failures: string[] = [];
  const quiet = new Quiet(60_000 * patience);
  for (let round = 1; round <= (quick ? 1 : rounds); round++) {
    const cells = cellsOf(sections.filter(({ once }) => round === 1 || once !== true));
    for (const [i, cell] of cells.entries()) {
      const key = keyOf(cell, cell.runtime.name);
      const place = `round ${round}, ${i + 1} of ${cells.length}: ${key}`;
      try {
        const answer = quick ? await measureCell(cell, 0.2) : await quiet.measure(cell, 1.5);
        const result = merge(found.get(key), cell, answer);
        found.set(key, result);
        say(`${place}: ${rounded(median(answer.samples))} ${result.unit}`);
      } catch (error) {
        failures.push(`${key}: ${error instanceof Error ? error.message : String(error)}`);
        say(`${place}: failed`);
      }
    }
  }
  const results = [...found.values()];
  process.stdout.write(`${sections.map((s) => table(s, results)).join('\n\n')}\n`);
  if (contenders && only === undefined) await write(sections, results, contenders.versions);
  failures.push(...disagreements(results));
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

async function write(
  sections: readonly Section[],
  results: readonly Result[],
  versions: Readonly<Record<string, string>>,
): Promise<void> {
  const machine = describeMachine();
  // A line for each result.
  const lines = results.map((r) => JSON.stringify(r)).join(',\n');
  const head = `{"machine": ${JSON.stringify(machine)},\n"versions": ${JSON.stringify(versions)},\n`;
  await writeFile(join('bench', 'results.json'), `${head}"results": [\n${lines}\n]}\n`);
  await mkdir(join('bench', 'plots'), { recursive: true });
  for (const [name, svg] of plots(sections, results)) await writeFile(join('bench', 'plots', name), svg);
  const file = join('bench', 'RESULTS.md');
  const text = await readFile(file, 'utf8');
  await writeFile(file, replaceTables(text, machine, sections, results, versions));
}
