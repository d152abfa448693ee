import { distance } from 'fastest-levenshtein';

/** The known name that is the fewest edits away from what was written, whatever the case. */
export function nearest(written: string, known: readonly string[]): string {
  const target = written.toLowerCase();
  let best = known[0] ?? '';
  let fewest = Infinity;
  for (const name of known) {
    const edits = distance(target, name.toLowerCase());
    if (edits < fewest) [best, fewest] = [name, edits];
  }
  return best;
}
