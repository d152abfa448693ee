import type { Cell, Section } from './cells.ts';
import { NOISY } from './contention.ts';
import type { Machine } from './machine.ts';
import type { Measurement, Result } from './measurement.ts';
import { commandLine } from './measurement.ts';
import type { Bar } from './plot.ts';
import { barChart } from './plot.ts';

/** Identity of a measurement in a runtime. */
export const keyOf = (measurement: Measurement, runtime: string): string =>
  [runtime, ...commandLine(measurement)].join(' ');

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** Three significant digits: more than that no two runs agree on. */
const short = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

type Lookup = (cell: Cell | undefined) => { readonly value: number; readonly text: string } | undefined;

/** Finds the number that a cell shows, marked where the machine was not ours alone. */
function lookup(results: readonly Result[]): Lookup {
  const known = new Map(results.map((r) => [keyOf(r, r.runtime), r]));
  return (cell) => {
    const found = cell && known.get(keyOf(cell, cell.runtime.name));
    const value = cell?.field === undefined ? found?.median : found?.also?.[cell.field];
    if (found === undefined || value === undefined) return undefined;
    return { value, text: short(value) + (found.others > NOISY ? ' ~' : '') };
  };
}

/** A section as a Markdown table of medians, with its plot where it has one. */
export function table({ title, head, rows, plot }: Section, results: readonly Result[]): string {
  const find = lookup(results);
  return [
    `### ${title}`,
    '',
    ...(plot ? [`![${plot.unit}](plots/${plot.file})`, ''] : []),
    row(head),
    row(head.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map(({ label, cells }) => row([label, ...cells.map((cell) => find(cell)?.text ?? '–')])),
  ].join('\n');
}

/** The plots of the sections that have one, by file name; a row without its column shows what is left of it. */
export function plots(sections: readonly Section[], results: readonly Result[]): Map<string, string> {
  const find = lookup(results);
  const drawn = new Map<string, string>();
  for (const { rows, plot } of sections) {
    if (plot === undefined) continue;
    const bars = rows.flatMap(({ label, cells }): Bar[] => {
      const shown = cells
        .slice(0, plot.column)
        .map(find)
        .findLast((one) => one !== undefined);
      return shown ? [{ label, ...shown, ours: label.startsWith('prefgrad') }] : [];
    });
    if (bars.length > 0) drawn.set(plot.file, barChart(plot.unit, bars));
  }
  return drawn;
}

const BEGIN = '<!-- written by npm run bench -->';
const END = '<!-- end -->';

/** RESULTS.md with its generated part replaced; what stands around it is written by hand. Errors: no such part. */
export function replaceTables(
  text: string,
  machine: Machine,
  sections: readonly Section[],
  results: readonly Result[],
  versions: Readonly<Record<string, string>> = {},
): string {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`bench/RESULTS.md has no part between ${BEGIN} and ${END}`);
  const { cpu, cores, memoryGiB, platform, commit, date } = machine;
  const once = new Set(
    sections
      .filter((s) => s.once)
      .flatMap((s) => s.rows.flatMap((r) => r.cells.map((c) => c && keyOf(c, c.runtime.name)))),
  );
  const samples = results.filter((r) => !once.has(keyOf(r, r.runtime))).map((r) => r.samples.length);
  const others = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const about =
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}; commit ${commit}, ${date} UTC. ` +
    `Medians of ${Math.min(...samples)} to ${Math.max(...samples)} samples, end-to-end runs once; all of them are in ` +
    `[results.json](results.json). A tilde: other processes took more than ${NOISY} cores meanwhile.` +
    (others.length > 0 ? ` Versions: ${others.join(', ')}.` : '');
  const tables = sections.map((s) => table(s, results));
  return [text.slice(0, from) + BEGIN, about, ...tables, text.slice(to)].join('\n\n');
}
