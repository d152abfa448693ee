/** A stretch of memory, in bytes. */
export interface Span {
  readonly address: number;
  readonly bytes: number;
}

/** Free stretches of an address range, first fit; neighbours that are released join. */
export class FreeList {
  /** By address. */
  readonly #free: { address: number; bytes: number }[] = [];

  /** The lowest stretch of `bytes`, or undefined where none is that long. */
  take(bytes: number): Span | undefined {
    const at = this.#free.findIndex((f) => f.bytes >= bytes);
    const found = this.#free[at];
    if (found === undefined) return undefined;
    const span = { address: found.address, bytes };
    found.address += bytes;
    found.bytes -= bytes;
    if (found.bytes === 0) this.#free.splice(at, 1);
    return span;
  }

  give({ address, bytes }: Span): void {
    if (bytes === 0) return;
    const next = this.#free.findIndex((f) => f.address > address);
    this.#free.splice(next < 0 ? this.#free.length : next, 0, { address, bytes });
    for (let i = this.#free.length - 1; i > 0; i--) {
      const [a, b] = [this.#free[i - 1], this.#free[i]];
      if (!a || !b || a.address + a.bytes !== b.address) continue;
      a.bytes += b.bytes;
      this.#free.splice(i, 1);
    }
  }

  /** Free bytes that end at `end`. */
  tail(end: number): number {
    const last = this.#free[this.#free.length - 1];
    return last && last.address + last.bytes === end ? last.bytes : 0;
  }
}
