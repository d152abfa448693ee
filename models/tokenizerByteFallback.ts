import { ByteFallbackDecoder, SequenceDecoder, type Decoder } from '@huggingface/tokenizers';

/**
 * Byte tokens (`<0xE2>`) to text as the Rust tokenizers do it: a run of them that is not UTF-8 gives one
 * U+FFFD for each, and a byte order mark stays. (`@huggingface/tokenizers` drops the mark and keeps what
 * it can of a broken run.)
 */
class RustByteFallback extends ByteFallbackDecoder {
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor() {
    super({ type: 'ByteFallback' });
  }

  override decode_chain(tokens: string[]): string[] {
    const texts: string[] = [];
    let run: number[] = [];
    const endRun = () => {
      if (run.length > 0) texts.push(this.#decodeRun(run));
      run = [];
    };
    for (const token of tokens) {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
      if (byte === null) {
        endRun();
        texts.push(token);
      } else {
        run.push(Number.parseInt(byte[1], 16));
      }
    }
    endRun();
    return texts;
  }

  #decodeRun(bytes: number[]): string {
    try {
      return this.#utf8.decode(Uint8Array.from(bytes));
    } catch {
      return '\ufffd'.repeat(bytes.length);
    }
  }
}

/** The same decoder with Rust's byte fallback wherever it has one. */
export function withRustByteFallback(decoder: Decoder | null): Decoder | null {
  if (decoder instanceof ByteFallbackDecoder) return new RustByteFallback();
  if (decoder instanceof SequenceDecoder) {
    decoder.decoders = decoder.decoders.map((part) => withRustByteFallback(part) ?? part);
  }
  return decoder;
}
