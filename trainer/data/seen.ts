import { place, type Content, type Origin, type Remark, type Row } from './rows.ts';

/** Finds rows that repeat or contradict an earlier one, of the same file or of one read before it. */
export class SeenRows {
  /** By a 53-bit hash: 40 bytes a row, whatever its length; at a million rows a false alarm has odds of 1 to 18,000. */
  readonly #origins = new Map<number, Origin>();

  /** What is odd about a row beside the earlier ones. */
  remarks(row: Row): Remark[] {
    const { origin } = row;
    if (row.kind === 'completion') return this.#repeated(origin, hash(row, row.completion));
    if (row.kind === 'unpaired') {
      const contrary = this.#origins.get(hash(row, row.completion, !row.label));
      const own = this.#repeated(origin, hash(row, row.completion, row.label));
      return contrary === undefined
        ? own
        : [
            ...own,
            contradiction(origin, `has the other label than the same completion at ${place(contrary)}`),
          ];
    }
    if (JSON.stringify(row.chosen) === JSON.stringify(row.rejected)) {
      const reason = 'has equal chosen and rejected, which teach no preference';
      return [{ origin, reason, about: 'equal sides' }];
    }
    const contrary = this.#origins.get(hash(row, row.rejected, row.chosen));
    const own = this.#repeated(origin, hash(row, row.chosen, row.rejected));
    return contrary === undefined
      ? own
      : [...own, contradiction(origin, `prefers what ${place(contrary)} rejects, for the same prompt`)];
  }

  #repeated(origin: Origin, key: number): Remark[] {
    const earlier = this.#origins.get(key);
    if (earlier !== undefined) return [{ origin, reason: `repeats ${place(earlier)}`, about: 'repeated' }];
    this.#origins.set(key, origin);
    return [];
  }
}

const contradiction = (origin: Origin, reason: string): Remark => ({ origin, reason, about: 'contradicted' });

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
