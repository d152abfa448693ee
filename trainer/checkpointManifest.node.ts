import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PrefgradError } from '../engine/errors.ts';

const readChunks = (path: string): AsyncIterable<Uint8Array> =>
  createReadStream(path, { highWaterMark: 1 << 20 });

export const manifestName = 'manifest.json';

/** What a checkpoint's manifest.json says; it is written last, so a folder that has one was whole. */
export interface CheckpointManifest {
  format: 'prefgrad-checkpoint';
  step: number;
  /** Counts the checkpoints of a folder as they are written: the newest has the highest, whatever its step. */
  sequence: number;
  files: Record<string, { bytes: number; sha256: string }>;
}

/** A checkpoint on disk whose manifest is there; the files have not been read yet. */
export interface Checkpoint {
  path: string;
  step: number;
  sequence: number;
  manifest: CheckpointManifest;
}

/** A folder of checkpoints, oldest first by the order they were written in; folders without a manifest are not ours. */
export async function findCheckpoints(outputDir: string): Promise<Checkpoint[]> {
  const found: Checkpoint[] = [];
  for (const name of await folderNames(outputDir)) {
    if (stepOf(name) === undefined) continue;
    const path = join(outputDir, name);
    const manifest = await readManifest(path).catch(() => undefined);
    if (manifest !== undefined)
      found.push({ path, step: manifest.step, sequence: manifest.sequence, manifest });
  }
  return found.toSorted((a, b) => a.sequence - b.sequence);
}

/** The checkpoint written last, or undefined where there is none. */
export async function latestCheckpoint(outputDir: string): Promise<Checkpoint | undefined> {
  return (await findCheckpoints(outputDir)).at(-1);
}

/**
 * The checkpoint to resume from, after all of its files were read and compared with the manifest.
 *
 * `resume` is `resume_from_checkpoint`: true for the latest one of `outputDir`, or a checkpoint's path. Throws
 * PrefgradError where there is none, or where a file is missing or damaged; the message names that file and the
 * newest older checkpoint that is whole.
 */
export async function openCheckpoint(outputDir: string, resume: true | string): Promise<Checkpoint> {
  const checkpoint = resume === true ? await latestCheckpoint(outputDir) : await checkpointAt(resume);
  if (checkpoint === undefined) {
    throw new PrefgradError(
      `resume_from_checkpoint: ${outputDir} has no whole checkpoint; start without it, or give a checkpoint's path`,
    );
  }
  const damage = await findDamage(checkpoint);
  if (damage === undefined) return checkpoint;
  const older = await wholeBefore(checkpoint);
  const cure =
    older === undefined
      ? 'there is no whole checkpoint before it, so start anew without resume_from_checkpoint'
      : `the newest whole checkpoint before it is ${older.path}: resume_from_checkpoint=${older.path}`;
  throw new PrefgradError(`${damage}; ${cure}`);
}

/** Reads every file of a checkpoint: the first difference from its manifest in words, or undefined. */
export async function findDamage(checkpoint: Checkpoint): Promise<string | undefined> {
  for (const [name, expected] of Object.entries(checkpoint.manifest.files)) {
    const path = join(checkpoint.path, name);
    const bytes = await stat(path).then(
      (found) => found.size,
      () => undefined,
    );
    if (bytes === undefined) return `${path} is missing from its checkpoint`;
    if (bytes !== expected.bytes) {
      return `${path} is damaged: its manifest says ${expected.bytes} bytes, the file has ${bytes}`;
    }
    const hash = createHash('sha256');
    try {
      for await (const chunk of readChunks(path)) hash.update(chunk);
    } catch (error) {
      return `${path} cannot be read (${error instanceof Error ? error.message : String(error)})`;
    }
    if (hash.digest('hex') !== expected.sha256) {
      return `${path} is damaged: its bytes have another sha-256 than its manifest says`;
    }
  }
  return undefined;
}

/** The step in `checkpoint-<step>`, undefined for other names. */
export function stepOf(name: string): number | undefined {
  const match = /^checkpoint-(0|[1-9]\d*)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Names in a folder; none where it does not exist. */
export async function folderNames(path: string): Promise<string[]> {
  return readdir(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
}

async function checkpointAt(path: string): Promise<Checkpoint> {
  let manifest: CheckpointManifest;
  try {
    manifest = await readManifest(path);
  } catch (error) {
    const older = (await findCheckpoints(dirname(path))).at(-1);
    throw new PrefgradError(
      `resume_from_checkpoint: ${path} is no whole checkpoint (${error instanceof Error ? error.message : String(error)})` +
        (older === undefined
          ? '; give the path of a checkpoint-<step> folder'
          : `; the newest whole one beside it is ${older.path}`),
    );
  }
  return { path, step: manifest.step, sequence: manifest.sequence, manifest };
}

async function wholeBefore(checkpoint: Checkpoint): Promise<Checkpoint | undefined> {
  const beside = await findCheckpoints(dirname(checkpoint.path));
  for (const older of beside.toReversed()) {
    if (older.sequence < checkpoint.sequence && (await findDamage(older)) === undefined) return older;
  }
  return undefined;
}

async function readManifest(path: string): Promise<CheckpointManifest> {
  const value: unknown = JSON.parse(await readFile(join(path, manifestName), 'utf8'));
  if (!isManifest(value)) throw new Error(`${manifestName} is not a checkpoint's manifest`);
  return value;
}

function isManifest(value: unknown): value is CheckpointManifest {
  if (!isObject(value) || value['format'] !== 'prefgrad-checkpoint' || !isObject(value['files']))
    return false;
  if (!Number.isSafeInteger(value['step']) || !Number.isSafeInteger(value['sequence'])) return false;
  return Object.entries(value['files']).every(
    ([name, file]) =>
      basename(name) === name &&
      isObject(file) &&
      Number.isSafeInteger(file['bytes']) &&
      typeof file['sha256'] === 'string',
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
