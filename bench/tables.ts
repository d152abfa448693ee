import { NOISY } from './contention.ts';
import type { Machine } from './machine.ts';
import type { Measurement, Result } from './measurement.ts';
import { commandLine } from './measurement.ts';
import type { Section } from './sections.ts';

/** Identity of a measurement in a runtime. */
export const keyOf = (measurement: Measurement, runtime: string): string =>
  [runtime, ...commandLine(measurement)].join(' ');

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** Three significant digits: more than that no two runs agree on. */
const short = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** A median, marked where the machine was not ours alone. */
const number = ({ median, others }: Result): string => short(median) + (others > NOISY ? ' ~' : '');

/** A section as a Markdown table of medians. */
export function table({ title, head, rows }: Section, results: readonly Result[]): string {
  const known = new Map(results.map((r) => [keyOf(r, r.runtime), r]));
  return [
    `### ${title}`,
    '',
    row(head),
    row(head.map((_, i) => (i === 0 ? '---' : '--:'))),
    ...rows.map(({ label, cells }) =>
      row([
        label,
        ...cells.map((cell) => {
          const found = known.get(keyOf(cell, cell.runtime.name));
          return found ? number(found) : '–';
        }),
      ]),
    ),
  ].join('\n');
}

const BEGIN = '<!-- written by npm run bench -->';
const END = '<!-- end -->';

/** RESULTS.md with its generated part replaced; what stands around it is written by hand. Errors: no such part. */
export function replaceTables(
  text: string,
  machine: Machine,
  sections: readonly Section[],
  results: readonly Result[],
): string {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`bench/RESULTS.md has no part between ${BEGIN} and ${END}`);
  const { cpu, cores, memoryGiB, platform, commit, date } = machine;
  const samples = results.map((r) => r.samples.length);
  const about =
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}; commit ${commit}, ${date} UTC. ` +
    `Medians of ${Math.min(...samples)} to ${Math.max(...samples)} samples; all of them are in ` +
    `[results.json](results.json). A tilde: other processes took more than ${NOISY} cores meanwhile.`;
  const tables = sections.map((s) => table(s, results));
  return [text.slice(0, from) + BEGIN, about, ...tables, text.slice(to)].join('\n\n');
}
