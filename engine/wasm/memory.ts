import { PrefgradError } from '../errors.ts';
import type { Span } from './call.ts';

export const PAGE = 65536;
export const MAX_PAGES = 65536;
const ALIGNMENT = 64;
/** Added to large stretches, so that a parameter, its gradient and moments do not all fall into the same cache sets. */
const STAGGER = 1088;
const LARGE = 65536;
/** Bytes that the threads' barrier takes at address 0. */
export const RESERVED = 1024;

/** First fit over one growing WebAssembly memory; nothing else allocates in it. */
export class Allocator {
  /** Free stretches by address. The last reaches to the end of the memory. */
  readonly #free: { address: number; bytes: number }[];
  #used = 0;

  constructor(readonly memory: WebAssembly.Memory) {
    this.#free = [{ address: RESERVED, bytes: memory.buffer.byteLength - RESERVED }];
  }

  get used(): number {
    return this.#used;
  }

  /** Memory that holds `bytes`, 64-byte aligned; errors say how much was asked and what is in use. */
  allocate(bytes: number, what: string): Span {
    const aligned = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const size = aligned >= LARGE ? aligned + STAGGER : aligned;
    let at = this.#free.findIndex((f) => f.bytes >= size);
    if (at < 0) {
      this.#grow(size, what);
      at = this.#free.length - 1;
    }
    const found = this.#free[at];
    if (found === undefined) throw new Error('the allocator has lost its last stretch');
    const span = { address: found.address, bytes: size };
    found.address += size;
    found.bytes -= size;
    if (found.bytes === 0) this.#free.splice(at, 1);
    this.#used += size;
    return span;
  }

  release({ address, bytes }: Span): void {
    this.#used -= bytes;
    const next = this.#free.findIndex((f) => f.address > address);
    this.#free.splice(next < 0 ? this.#free.length : next, 0, { address, bytes });
    for (let i = this.#free.length - 1; i > 0; i--) {
      const [a, b] = [this.#free[i - 1], this.#free[i]];
      if (!a || !b || a.address + a.bytes !== b.address) continue;
      a.bytes += b.bytes;
      this.#free.splice(i, 1);
    }
  }

  #grow(size: number, what: string): void {
    const end = this.memory.buffer.byteLength;
    const last = this.#free[this.#free.length - 1];
    const tail = last && last.address + last.bytes === end ? last : { address: end, bytes: 0 };
    if (tail !== last) this.#free.push(tail);
    const pages = Math.ceil((size - tail.bytes) / PAGE);
    const mib = (n: number) => `${Math.ceil(n / 2 ** 20)} MiB`;
    try {
      if (end / PAGE + pages > MAX_PAGES) throw new RangeError('over 4 GiB');
      this.memory.grow(pages);
    } catch {
      if (tail.bytes === 0) this.#free.pop();
      throw new PrefgradError(
        `no room for ${mib(size)} (${what}): ${mib(this.#used)} are in use, and WebAssembly memory ends at 4 GiB or ` +
          `where the system has no more; a smaller max_length, batch size or model needs less`,
      );
    }
    tail.bytes += pages * PAGE;
  }
}
