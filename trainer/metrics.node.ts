import { open, mkdir, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PrefgradError } from '../engine/errors.ts';
import { parseMetricsLine, type MetricsLine } from './metrics.ts';

/** Appends lines to a metrics.jsonl, each handed to the operating system before `append` resolves. */
export interface MetricsWriter {
  readonly path: string;
  append(line: MetricsLine): Promise<void>;
  /** Waits until what was appended is on the disk; the checkpoint of a step calls it first. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens `path` for a run's metrics, making its folder where needed.
 *
 * A fresh run empties the file. A run resumed after step `resumeAfter` keeps the lines up to that step and
 * drops the ones after it (they will be written again), as well as a last line that a crash cut short.
 * Throws PrefgradError where the file cannot be opened or written.
 */
export async function openMetrics(
  path: string,
  options: { resumeAfter?: number } = {},
): Promise<MetricsWriter> {
  const attempt = <T>(work: () => Promise<T>) => attemptToWrite(path, work);
  const handle = await attempt(async () => {
    await mkdir(dirname(path), { recursive: true });
    if (options.resumeAfter === undefined) return open(path, 'w');
    const kept = await open(path, 'a+');
    await kept.truncate(await keptLength(kept, options.resumeAfter));
    return kept;
  });
  return {
    path,
    append: (line) => attempt(() => handle.appendFile(`${JSON.stringify(line)}\n`)),
    sync: () => attempt(() => handle.sync()),
    close: () => attempt(() => handle.close()),
  };
}

/** All lines of a metrics.jsonl; a line that is not one is a PrefgradError with its number. */
export async function readMetrics(path: string): Promise<MetricsLine[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new PrefgradError(`${path}: the metrics cannot be read (${reason(error)})`);
  });
  const lines = text.split('\n');
  return lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [parseMetricsLine(line, `${path}, line ${index + 1}`)],
  );
}

/** Bytes of the whole lines at the file's start whose step is at most `lastStep`. */
async function keptLength(handle: FileHandle, lastStep: number): Promise<number> {
  const bytes = await handle.readFile();
  let kept = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, kept)) {
    const text = bytes.toString('utf8', kept, end);
    let line: MetricsLine;
    try {
      line = parseMetricsLine(text, '');
    } catch {
      return kept; // a crash left this line unwhole: what follows it is not to be trusted either
    }
    if (line.step > lastStep) return kept;
    kept = end + 1;
  }
  return kept;
}

/** Does some of the writing of metrics; what fails is a PrefgradError with the cure. */
export async function attemptToWrite<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new PrefgradError(
      `${path}: the metrics cannot be written (${reason(error)}); free some space or choose another output_dir`,
      { cause: error },
    );
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
