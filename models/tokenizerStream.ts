const REPLACEMENT = '\ufffd';

/**
 * Turns ids that come one by one into text. A character that is spread over several tokens is held back
 * until it is whole. The pieces joined are what `decode` gives for all ids at once, except that byte
 * tokens which form no UTF-8 may show fewer U+FFFD.
 */
export class TokenStream {
  readonly #decode: (ids: readonly number[]) => string;
  readonly #isSkipped: (id: number) => boolean;
  /** A short window: ids already emitted, for what decoders do between tokens, then ids held back. */
  #window: number[] = [];
  #emitted = 0;

  constructor(decode: (ids: readonly number[]) => string, isSkipped: (id: number) => boolean) {
    this.#decode = decode;
    this.#isSkipped = isSkipped;
  }

  /** The text that this id completes; often a word, sometimes nothing yet. */
  push(id: number): string {
    if (this.#isSkipped(id)) return '';
    this.#window.push(id);
    const { before, after } = this.#texts();
    if (after.length <= before.length || after.endsWith(REPLACEMENT)) return '';
    this.#window = this.#window.slice(this.#emitted);
    this.#emitted = this.#window.length;
    return after.slice(before.length);
  }

  /** What is still held back, an unfinished character shown as U+FFFD; the stream is empty then. */
  end(): string {
    const { before, after } = this.#texts();
    this.#window = [];
    this.#emitted = 0;
    return after.slice(before.length);
  }

  #texts(): { before: string; after: string } {
    return { before: this.#decode(this.#window.slice(0, this.#emitted)), after: this.#decode(this.#window) };
  }
}
