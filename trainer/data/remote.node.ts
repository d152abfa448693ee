import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PrefgradError } from '../../engine/errors.ts';
import { download, type DownloadProgress } from '../../models/files/download.node.ts';
import { cacheFolder } from '../cache.node.ts';
import { sha256 } from './hash.ts';

const advice = {
  failed: 'download the file yourself and give its path',
  forbidden: 'download the file with its owner’s tools and give its path',
  refused: 'check the address',
};

/** Seconds to wait for an answer to whether a kept file is still the server's. */
const ASK_SECONDS = 10;

export const isUrl = (path: string): boolean => /^https?:\/\//i.test(path);

/**
 * The path of a file on the web, downloaded to `HF_HOME`/prefgrad/data where it is not there yet or the server has
 * another one by now (its ETag or length differs). A download that broke goes on where it stopped. Without a
 * connection, what is there is taken. Errors: no such file; a server that refuses.
 */
export async function fetchData(
  url: string,
  onProgress: (progress: DownloadProgress) => void = () => {},
): Promise<string> {
  const file = basename(new URL(url).pathname) || 'data';
  const folder = join(cacheFolder(), 'data', (await sha256(url)).slice(0, 16));
  const [path, etagPath] = [join(folder, file), join(folder, 'etag.txt')];
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  if (bytes !== undefined) {
    const etag = await readFile(etagPath, 'utf8').catch(() => '');
    if (!(await hasChanged(url, etag, bytes))) return path;
    await rm(path);
  }
  await mkdir(folder, { recursive: true });
  const answer = await download({ url, path, file, onProgress, advice });
  if (answer === undefined)
    throw new PrefgradError(`${url}: the server answered 404, there is no such file; check the address`);
  await writeFile(etagPath, answer.etag ?? '');
  return path;
}

/** Where the server says neither, or nothing at all, the kept file counts as its own. */
async function hasChanged(url: string, etag: string, bytes: number): Promise<boolean> {
  try {
    const options = { method: 'HEAD', headers: { 'accept-encoding': 'identity' } };
    const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(ASK_SECONDS * 1000) });
    if (!answer.ok) return false;
    const now = answer.headers.get('etag');
    if (now !== null && etag !== '') return now !== etag;
    const length = answer.headers.get('content-length');
    return length !== null && Number(length) !== bytes;
  } catch {
    return false;
  }
}
