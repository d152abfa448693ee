import type { ChatMessage } from '../../models/chatTemplate.ts';
import type { CompleteOptions, Completion } from '../complete.ts';
import { complete } from '../complete.ts';
import type { Session } from '../session.ts';

/** A completion to be made: iterate over its pieces as they come, or await the whole. Each use makes it anew. */
export class Generation implements AsyncIterable<string> {
  readonly #session: Session;
  readonly #prompt: string | readonly ChatMessage[];
  readonly #options: CompleteOptions;

  /** @internal `Model.generate` makes it. */
  constructor(session: Session, prompt: string | readonly ChatMessage[], options: CompleteOptions) {
    this.#session = session;
    this.#prompt = prompt;
    this.#options = options;
  }

  /** The whole completion as text. */
  async text(): Promise<string> {
    return (await this.result()).text;
  }

  /** The whole completion, with its number of tokens and why it ended. */
  result(): Promise<Completion> {
    return complete(this.#session, this.#prompt, this.#options, () => {});
  }

  /** Text piece by piece, never part of a character. To leave the loop stops the work. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    const left = new AbortController();
    const { signal } = this.#options;
    const pieces: string[] = [];
    let wake = (): void => {};
    const progress = { ended: false };
    const work = complete(
      this.#session,
      this.#prompt,
      { ...this.#options, signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal },
      (piece) => {
        pieces.push(piece);
        wake();
      },
    ).finally(() => {
      progress.ended = true;
      wake();
    });
    // It is awaited below; until then a failure is nobody's.
    work.catch(() => {});
    try {
      while (!progress.ended || pieces.length > 0) {
        const piece = pieces.shift();
        if (piece === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else yield piece;
      }
      await work;
    } finally {
      left.abort();
      await work.catch(() => {});
    }
  }
}
