import { open, type FileHandle } from 'node:fs/promises';
import { PrefgradError } from '../../engine/errors.ts';
import { checkRange, type FileSink, type FileSource } from './source.ts';

/** Node reads at most 2 GiB − 1 in one call. */
const LARGEST_READ = 2 ** 30;

/** Opens a file on disk for random access; the caller closes it. */
export async function openFileSource(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    throw new PrefgradError(
      `${path}: cannot be opened (${reason(error)}); check the path and its permissions`,
    );
  }
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    throw new PrefgradError(`${path}: is not a file; give the path of one`);
  }
  const source: FileSource = {
    name: path,
    size: stats.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const count = Math.min(length - done, LARGEST_READ);
        const { bytesRead } = await handle.read(bytes, done, count, offset + done);
        if (bytesRead === 0) {
          throw new PrefgradError(`${path}: the file was cut short while it was being read; open it again`);
        }
        done += bytesRead;
      }
      return bytes;
    },
    async close() {
      await handle.close();
    },
  };
  return source;
}

/** Creates (or empties) a file and writes it front to back; `close` flushes it to the disk. */
export async function openFileSink(path: string): Promise<FileSink & { close(): Promise<void> }> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'w');
  } catch (error) {
    throw new PrefgradError(
      `${path}: cannot be written (${reason(error)}); choose another folder or free it`,
    );
  }
  return {
    async write(bytes) {
      let done = 0;
      while (done < bytes.byteLength) {
        const count = Math.min(bytes.byteLength - done, LARGEST_READ);
        done += (await handle.write(bytes, done, count)).bytesWritten;
      }
    },
    async close() {
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}

function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
