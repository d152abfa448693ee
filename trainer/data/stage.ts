/**
 * A step on the way from a file to token ids: it takes one thing at a time and gives what is ready, so that a
 * list in memory and a file larger than memory go the same way.
 */
export interface Stage<In, Out> {
  push(item: In): readonly Out[];
  /** What is left when nothing more comes. */
  end(): readonly Out[];
}

/** Everything that a stage makes of things that are all there. */
export function runStage<In, Out>(items: Iterable<In>, stage: Stage<In, Out>): Out[] {
  const made: Out[] = [];
  for (const item of items) for (const one of stage.push(item)) made.push(one);
  for (const one of stage.end()) made.push(one);
  return made;
}

/** One stage after the other. */
export function chain<In, Between, Out>(
  first: Stage<In, Between>,
  second: Stage<Between, Out>,
): Stage<In, Out> {
  const through = (items: readonly Between[]) => items.flatMap((item) => second.push(item));
  return {
    push: (item) => through(first.push(item)),
    end: () => [...through(first.end()), ...second.end()],
  };
}

/** A value of a data file and the line it begins on, counted from 1 (in Parquet: the row's number). */
export interface Entry {
  readonly value: unknown;
  readonly line: number;
}

/** Characters that one row of a file may have; more means that a bracket or a quote is missing. */
export const LONGEST_ROW = 2 ** 26;
