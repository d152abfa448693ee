import { PrefgradError } from '../../engine/errors.ts';
import { Random } from './random.ts';

/** One file's rows in a mixture. */
export interface MixturePart<R> {
  readonly name: string;
  readonly rows: readonly R[];
  /** Its share of an epoch is this over the sum of all weights. */
  readonly weight: number;
}

export interface Mixture<R> {
  /** The rows of an epoch; a row that comes several times is the same object. */
  readonly rows: R[];
  /** How many of them each part gives. */
  readonly counts: number[];
}

/** An epoch of more times the rows that there are is a slip in the weights. */
const MOST_REPEATS = 100;
/** Tells the choice of repeated rows from a run's other random numbers. */
const MIXTURE_STREAM = 0x6d697874;

/**
 * Parts mixed by their weights. An epoch is as long as it takes to see every row once; the parts that run out are
 * repeated, the last time only as many rows as are needed, drawn by `seed`. The parts alternate evenly, each in its own
 * order. Throws a PrefgradError for a part without rows, and for weights that make an epoch of more than 100 times the
 * rows.
 */
export function mix<R>(parts: readonly MixturePart<R>[], seed: number): Mixture<R> {
  const empty = parts.find(({ rows }) => rows.length === 0);
  if (empty !== undefined)
    throw new PrefgradError(`${empty.name}: no row can be used, so it can not be mixed in`);
  const sum = parts.reduce((total, { weight }) => total + weight, 0);
  const length = Math.max(...parts.map(({ rows, weight }) => (rows.length * sum) / weight));
  const all = parts.reduce((n, { rows }) => n + rows.length, 0);
  if (!(length <= MOST_REPEATS * all)) {
    throw new PrefgradError(
      `data: with these weights an epoch that sees all of the ${all} rows has ${length.toPrecision(3)} rows; choose weights that are nearer to the files' sizes`,
    );
  }
  const chosen = parts.map(({ rows, weight }, i) =>
    repeat(rows, Math.round((length * weight) / sum), new Random(seed, MIXTURE_STREAM, i)),
  );
  return { rows: alternate(chosen), counts: chosen.map((rows) => rows.length) };
}

/** The rows as often as it takes to be `count`, the last time some of them, in their order. */
function repeat<R>(rows: readonly R[], count: number, random: Random): R[] {
  const repeated: R[] = [];
  for (let times = Math.floor(count / rows.length); times > 0; times--)
    for (const row of rows) repeated.push(row);
  const rest = random.permutation(rows.length).slice(0, count - repeated.length);
  for (const i of rest.sort((a, b) => a - b)) repeated.push(rows[i]);
  return repeated;
}

/** Next is always the part that is furthest behind its share. */
function alternate<R>(parts: readonly (readonly R[])[]): R[] {
  const total = parts.reduce((n, rows) => n + rows.length, 0);
  const taken = parts.map(() => 0);
  return Array.from({ length: total }, () => {
    let next = 0;
    for (let i = 1; i < parts.length; i++)
      if ((taken[i] + 0.5) / parts[i].length < (taken[next] + 0.5) / parts[next].length) next = i;
    return parts[next][taken[next]++];
  });
}
