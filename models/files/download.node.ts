import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PrefgradError } from '../../engine/errors.ts';

export interface DownloadProgress {
  readonly file: string;
  /** Bytes on disk so far, what an earlier attempt left included. */
  readonly received: number;
  /** undefined until the server has said it. */
  readonly total: number | undefined;
}

export interface DownloadRequest {
  readonly url: string;
  /** Where the file goes; `path.part` and `path.etag` lie beside it until it is whole. */
  readonly path: string;
  /** What progress and errors call it. */
  readonly file: string;
  readonly onProgress: (progress: DownloadProgress) => void;
  /** What errors advise; a model's file by default. */
  readonly advice?: Readonly<Record<keyof typeof modelAdvice, string>>;
}

const modelAdvice = {
  failed: 'download the model yourself and give its folder',
  forbidden: 'the model is private or gated, so download it with its owner’s tools and give the folder',
  refused: 'check the id, and HF_ENDPOINT if it is set',
};

/** What a server said of a file. */
export interface Downloaded {
  readonly commit: string | undefined;
  readonly etag: string | undefined;
}

/** Attempts in a row that bring no new byte before giving up. */
const FRUITLESS_ATTEMPTS = 4;
const STALL_SECONDS = 60;

/** The connection failed or broke; what is on disk stays, and another attempt may go on from there. */
class Interrupted extends Error {}

/**
 * Downloads a file, going on where an earlier attempt (of this call or of an earlier process) stopped, if
 * the server's copy is still the same (Range with If-Range). Resolves to undefined when the server has no
 * such file; `commit` is what the hub's X-Repo-Commit header says. Other failures are a PrefgradError.
 */
export async function download(request: DownloadRequest): Promise<Downloaded | undefined> {
  for (let fruitless = 0; ;) {
    const before = await sizeOf(`${request.path}.part`);
    try {
      return await attempt(request);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      fruitless = (await sizeOf(`${request.path}.part`)) > before ? 0 : fruitless + 1;
      if (fruitless === FRUITLESS_ATTEMPTS) {
        throw new PrefgradError(
          `${request.url}: the download failed (${error.message}); check the connection and run the command again, ` +
            `which goes on where it stopped, or ${(request.advice ?? modelAdvice).failed}`,
        );
      }
      if (fruitless > 0) await sleep(250 * 2 ** fruitless);
    }
  }
}

async function attempt({
  url,
  path,
  file,
  onProgress,
  advice = modelAdvice,
}: DownloadRequest): Promise<Downloaded | undefined> {
  const part = `${path}.part`;
  const etagFile = `${path}.etag`;
  let received = await sizeOf(part);
  const etag = received > 0 ? await readFile(etagFile, 'utf8').catch(() => '') : '';
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (etag !== '') Object.assign(headers, { range: `bytes=${received}-`, 'if-range': etag });

  const stall = new AbortController();
  const response = await interruptible(() => fetch(url, { headers, signal: stall.signal }));
  const discard = async () => {
    await response.body?.cancel();
  };
  if (response.status === 404) {
    await discard();
    return undefined;
  }
  if (response.status === 416 || response.status >= 500 || response.status === 429) {
    await discard();
    if (response.status === 416) await rm(part, { force: true }); // the part is not one of this file
    throw new Interrupted(`the server answered ${response.status}`);
  }
  if (!response.ok || response.body === null) {
    await discard();
    throw new PrefgradError(
      `${url}: the server answered ${response.status}; ` +
        (response.status === 401 || response.status === 403 ? advice.forbidden : advice.refused),
    );
  }
  if (!continues(response, received)) {
    received = 0;
    await writeFile(etagFile, strongEtag(response.headers.get('etag')));
  }
  const length = response.headers.get('content-length');
  const total = length === null ? undefined : received + Number(length);

  const handle = await open(part, received === 0 ? 'w' : 'r+');
  try {
    const reader = response.body.getReader();
    onProgress({ file, received, total });
    for (;;) {
      const timer = setTimeout(
        () => stall.abort(new Error(`nothing came for ${STALL_SECONDS} s`)),
        STALL_SECONDS * 1000,
      );
      const { done, value } = await interruptible(() => reader.read()).finally(() => clearTimeout(timer));
      if (done) break;
      for (let written = 0; written < value.length;) {
        written += (await handle.write(value, written, value.length - written, received + written))
          .bytesWritten;
      }
      received += value.length;
      onProgress({ file, received, total });
    }
    if (total !== undefined && received !== total)
      throw new Interrupted(`${received} of ${total} bytes came`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // Another process that downloaded the same file may have moved the part already: its bytes are the same.
  await rename(part, path).catch(async (error: unknown) => {
    if ((await sizeOf(path)) !== received) throw error;
  });
  await rm(etagFile, { force: true });
  const header = (name: string) => response.headers.get(name) ?? undefined;
  return { commit: header('x-repo-commit'), etag: header('etag') };
}

/** Whether the answer is the rest of the file, from the byte that was asked for. */
function continues(response: Response, received: number): boolean {
  const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return response.status === 206 && range !== null && Number(range[1]) === received;
}

/** Only a strong tag says that bytes are the same; without one a broken download starts again. */
function strongEtag(etag: string | null): string {
  return etag === null || etag.startsWith('W/') ? '' : etag;
}

async function interruptible<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Interrupted(cause instanceof Error ? cause.message : String(cause));
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
