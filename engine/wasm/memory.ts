import { PrefgradError } from '../errors.ts';
import type { Span } from '../freeList.ts';
import { FreeList } from '../freeList.ts';

export const PAGE = 65536;
export const MAX_PAGES = 65536;
export const ALIGNMENT = 64;
/** Added to large stretches, so that a parameter, its gradient and moments do not all fall into the same cache sets. */
const STAGGER = 1088;
const LARGE = 65536;
/** Bytes that the threads' barrier takes at address 0. */
export const RESERVED = 1024;

/** First fit over one growing WebAssembly memory; nothing else allocates in it. */
export class Allocator {
  readonly #free = new FreeList();
  #used = 0;

  constructor(readonly memory: WebAssembly.Memory) {
    this.#free.give({ address: RESERVED, bytes: memory.buffer.byteLength - RESERVED });
  }

  get used(): number {
    return this.#used;
  }

  /** Memory that holds `bytes`, 64-byte aligned; errors say how much was asked and what is in use. */
  allocate(bytes: number, what: string): Span {
    const aligned = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const size = aligned >= LARGE ? aligned + STAGGER : aligned;
    let span = this.#free.take(size);
    if (span === undefined) {
      this.#grow(size, what);
      span = this.#free.take(size);
    }
    if (span === undefined) throw new Error('the allocator has lost its last stretch');
    this.#used += size;
    return span;
  }

  release(span: Span): void {
    this.#used -= span.bytes;
    this.#free.give(span);
  }

  #grow(size: number, what: string): void {
    const end = this.memory.buffer.byteLength;
    const pages = Math.ceil((size - this.#free.tail(end)) / PAGE);
    const mib = (n: number) => `${Math.ceil(n / 2 ** 20)} MiB`;
    try {
      if (end / PAGE + pages > MAX_PAGES) throw new RangeError('over 4 GiB');
      this.memory.grow(pages);
    } catch {
      throw new PrefgradError(
        `no room for ${mib(size)} (${what}): ${mib(this.#used)} are in use, and WebAssembly memory ends at 4 GiB or ` +
          `where the system has no more; a smaller max_length, batch size or model needs less`,
      );
    }
    this.#free.give({ address: end, bytes: pages * PAGE });
  }
}
