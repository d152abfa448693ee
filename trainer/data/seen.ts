import { place, type Content, type Origin, type Remark, type Row } from './rows.ts';

/** Finds rows that repeat or contradict an earlier one, of the same file or of one read before it. */
export class SeenRows {
  /** By a 53-bit hash: 40 bytes a row, whatever its length; at a million rows a false alarm has odds of 1 to 18,000. */
  readonly #origins = new Map<number, Origin>();

  /** What is odd about a row beside the earlier ones. */
  remarks(row: Row): Remark[] {
    const { origin } = row;
    const remark = (about: Remark['about'], reason: string) => [{ origin, about, reason }];
    if (row.kind === 'pair' && JSON.stringify(row.chosen) === JSON.stringify(row.rejected))
      return remark('equal sides', 'has equal chosen and rejected, which teach no preference');
    const [own, contrary] = keysOf(row);
    const earlier = this.#origins.get(own);
    if (earlier !== undefined) return remark('repeated', `repeats ${place(earlier)}`);
    this.#origins.set(own, origin);
    const other = contrary === undefined ? undefined : this.#origins.get(contrary);
    if (other === undefined) return [];
    return row.kind === 'pair'
      ? remark('contradicted', `prefers what ${place(other)} rejects, for the same prompt`)
      : remark('contradicted', `has the other label than the same completion at ${place(other)}`);
  }
}

/** The key of a row, and that of the row which would contradict it. */
function keysOf(row: Row): [number, number?] {
  if (row.kind === 'pair') return [hash(row, row.chosen, row.rejected), hash(row, row.rejected, row.chosen)];
  if (row.kind === 'completion') return [hash(row, row.completion)];
  return [hash(row, row.completion, row.label), hash(row, row.completion, !row.label)];
}

function hash({ kind, prompt, template }: Row, ...rest: (Content | boolean)[]): number {
  return hash53(JSON.stringify([kind, prompt, template, ...rest]));
}

/** Two 32-bit multiplicative hashes that exchange bits at the end (bryc's cyrb53, public domain). */
function hash53(text: string): number {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
