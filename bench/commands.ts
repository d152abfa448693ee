import { Command, InvalidArgumentError, Option } from 'commander';
import type { Watched } from './contention.ts';
import { watchOthers } from './contention.ts';
import type { Effort } from './measure.ts';
import type { Unit } from './measurement.ts';
import { UNITS, median, rounded } from './measurement.ts';

/** Options that all measurements have. */
export interface Common {
  readonly threads: number;
  readonly json: boolean;
  readonly samples: boolean;
}

/** Of what is run again and again. */
export interface Timed extends Common {
  readonly seconds: number;
}

export function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is expected.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is expected.');
  return value;
}

/** Many warm-ups where a run is long enough to be worth a measurement of its own, few for a quick look. */
export const effortOf = ({ seconds }: Timed): Effort => ({
  ...{ seconds, samples: 5, warmups: seconds >= 1 ? 8 : 2 },
});

type Sizes = readonly (readonly [string, number])[];

/** A command that measures one whole run, with the options that all have; sizes are `[name, default]`. */
export function wholeRun(name: string, description: string, sizes: Sizes): Command {
  const made = new Command(name).description(description);
  for (const [size, value] of sizes) made.option(`--${size} <n>`, '', whole, value);
  return made
    .option('--threads <n>', 'worker threads', whole, 2)
    .option('--json', 'print one line, the median', false)
    .option('--samples', 'print one line, the median and every sample', false);
}

/** A command that runs something again and again. */
export const measurement = (name: string, description: string, sizes: Sizes): Command =>
  wholeRun(name, description, sizes).option('--seconds <s>', 'how long to measure', positive, 4);

export const simdOption = (): Option =>
  new Option('--simd <set>').choices(['auto', 'plain', 'relaxed']).default('auto');

export const STEP_SIZES = [
  ['layers', 4],
  ['width', 256],
  ['heads', 4],
  ['length', 128],
  ['batch', 4],
  ['vocab', 2048],
] as const;

/** Measures and prints the median: for people, or as one line of JSON. `toUnit` is given seconds. */
export async function answer(
  { json, samples: all }: Common,
  unit: Unit,
  work: Promise<Watched>,
  toUnit: (seconds: number) => number,
): Promise<void> {
  const { seconds, others } = await work;
  const samples = seconds.map(toUnit).map(rounded);
  const value = rounded(median(samples));
  const line = all ? { [unit]: value, samples, others: rounded(others) } : { [unit]: value };
  process.stdout.write(`${json || all ? JSON.stringify(line) : `${value} ${UNITS[unit]}`}\n`);
}

/** What a longer measurement found: one number, and more beside it. */
export interface Found {
  readonly value: number;
  readonly also: Readonly<Record<string, number>>;
  readonly steps?: readonly number[];
}

/** As `answer`, for a whole run. */
export async function answerOnce(
  { json, samples: all }: Common,
  unit: Unit,
  measureIt: () => Promise<Found>,
): Promise<void> {
  const others = watchOthers();
  const { value, also, steps = [] } = await measureIt();
  const more = Object.fromEntries(Object.entries(also).map(([name, number]) => [name, rounded(number)]));
  const line = all
    ? {
        ...{ [unit]: rounded(value), samples: [rounded(value)], others: rounded(others()) },
        ...{ also: more, steps: steps.map(rounded) },
      }
    : { [unit]: rounded(value), ...more };
  const text = [
    `${rounded(value)} ${UNITS[unit]}`,
    ...Object.entries(more).map(([name, number]) => `${name} ${number}`),
  ].join(', ');
  process.stdout.write(`${json || all ? JSON.stringify(line) : text}\n`);
}
