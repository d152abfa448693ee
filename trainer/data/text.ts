import { PrefgradError } from '../../engine/errors.ts';
import type { FileSource } from '../../models/files/source.ts';

const PIECE = 2 ** 18;

/** A file's bytes from front to back. */
export async function* bytesOf(
  source: FileSource,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let at = 0; at < source.size; at += PIECE) {
    const piece = await source.read(at, Math.min(PIECE, source.size - at));
    onBytes(piece.length);
    yield piece;
  }
}

/** Unpacks gzip. Throws a PrefgradError for bytes that are none, or end too early. */
export async function* gunzip(
  file: string,
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = new DecompressionStream('gzip');
  const writer = stream.writable.getWriter();
  let failed: Error | undefined;
  const writing = (async () => {
    for await (const piece of bytes) await writer.write(piece);
    await writer.close();
  })().catch((error: unknown) => (failed = error instanceof Error ? error : new Error(String(error))));
  const reader = stream.readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield value;
    }
    await writing;
    if (failed !== undefined) throw failed;
  } catch (error) {
    if (error instanceof PrefgradError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(
      `${file}: the gzip file is truncated or damaged (${detail}); download or copy it again`,
    );
  } finally {
    // Where the reader of this generator stops early, the writer would wait for ever.
    await reader.cancel().catch(() => {});
  }
}

/** UTF-8 bytes as text, a BOM left away. Throws a PrefgradError with file and line for other bytes. */
export async function* decodeText(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  const decode = (piece?: Uint8Array): string => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch {
      const before = new TextDecoder().decode(piece).split('\uFFFD')[0] ?? '';
      throw new PrefgradError(
        `${file}:${line + breaks(before)}: has bytes that are no UTF-8 text; save the file as UTF-8`,
      );
    }
  };
  for await (const piece of bytes) {
    const text = decode(piece);
    yield text;
    line += breaks(text);
  }
  yield decode();
}

function breaks(text: string): number {
  let count = 0;
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) count++;
  return count;
}
