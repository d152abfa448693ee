import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ReferenceCache } from './reference.ts';

/** prefgrad's folder beside the hub's downloads: $HF_HOME/prefgrad, ~/.cache/huggingface/prefgrad by default. */
export function cacheFolder(): string {
  return join(process.env['HF_HOME'] ?? join(homedir(), '.cache', 'huggingface'), 'prefgrad');
}

/** A cache of JSON values in files named by their keys. One that cannot be read or written is as good as none. */
export function fileCache(name: string): ReferenceCache {
  const folder = join(cacheFolder(), name);
  const path = (key: string): string => join(folder, `${key}.json`);
  return {
    async get(key) {
      try {
        return JSON.parse(await readFile(path(key), 'utf8')) as unknown;
      } catch {
        return undefined;
      }
    },
    async set(key, value) {
      const beside = `${path(key)}.${process.pid}`;
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(beside, JSON.stringify(value));
        await rename(beside, path(key));
      } catch {
        // A cache that cannot be written costs the next run its time, not this one its work.
      }
    },
  };
}
