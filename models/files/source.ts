import { PrefgradError } from '../../engine/errors.ts';

/** Bytes that own their buffer from its start, so a Float32Array over `bytes.buffer` is aligned. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Random access to one file's bytes: on disk, in memory, or a Blob in a browser. */
export interface FileSource {
  /** What error messages call the file. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /** Reads `length` bytes from `offset` into a fresh array; past the end is a PrefgradError. */
  read(offset: number, length: number): Promise<Bytes>;
  close(): Promise<void>;
}

/** Where a file is written, front to back. */
export interface FileSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Throws unless bytes [offset, offset + length) lie inside the file; call it before allocating. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > source.size) {
    throw new PrefgradError(
      `${source.name}: the file is truncated or damaged: bytes ${offset} to ${offset + length} are needed, ` +
        `but it has ${source.size}; download or copy it again`,
    );
  }
}

/** A file that lies in memory. The bytes are not copied until they are read. */
export function memorySource(name: string, bytes: Uint8Array): FileSource {
  const source: FileSource = {
    name,
    size: bytes.byteLength,
    async read(offset, length) {
      checkRange(source, offset, length);
      const copy = new Uint8Array(length);
      copy.set(bytes.subarray(offset, offset + length));
      return copy;
    },
    async close() {},
  };
  return source;
}

/** A Blob or File, e.g. what a user dropped on a page. Only the ranges asked for are read. */
export function blobSource(name: string, blob: Blob): FileSource {
  const source: FileSource = {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
    async close() {},
  };
  return source;
}

/** A sink that keeps what is written; `bytes()` joins it into one array. */
export function memorySink(): FileSink & { bytes(): Bytes } {
  const parts: Uint8Array[] = [];
  return {
    async write(bytes) {
      parts.push(bytes.slice());
    },
    bytes() {
      const joined = new Uint8Array(parts.reduce((total, part) => total + part.byteLength, 0));
      let offset = 0;
      for (const part of parts) {
        joined.set(part, offset);
        offset += part.byteLength;
      }
      return joined;
    },
  };
}

/** The whole file as UTF-8 text; bytes that are not UTF-8 are a PrefgradError. */
export async function readText(source: FileSource): Promise<string> {
  return decodeUtf8(source.name, await source.read(0, source.size));
}

/** UTF-8 bytes as text; `what` is what an error calls them. */
export function decodeUtf8(what: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PrefgradError(
      `${what}: expected UTF-8 text, found other bytes; is it the right file, and whole?`,
    );
  }
}
