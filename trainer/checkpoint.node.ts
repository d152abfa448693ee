import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PrefgradError } from '../engine/errors.ts';
import type { FileSink } from '../models/files/source.ts';
import { findCheckpoints, folderNames, manifestName, stepOf } from './checkpointManifest.node.ts';
import type { Checkpoint, CheckpointManifest } from './checkpointManifest.node.ts';

export {
  findCheckpoints,
  latestCheckpoint,
  openCheckpoint,
  type Checkpoint,
} from './checkpointManifest.node.ts';

/** One file of a checkpoint: its plain name, and what writes its bytes front to back. */
export interface CheckpointFile {
  name: string;
  write(sink: FileSink): Promise<void>;
}

// A folder's life: checkpoint-8.partial → (fsync) → checkpoint-8. Where checkpoint-8 is there already, it is
// checkpoint-8.replaced between the two renames, and recoverCheckpoints moves it back after a crash just then.
const partial = '.partial';
const replaced = '.replaced';

/**
 * Writes `checkpoint-<step>` so that a crash at any moment leaves a whole checkpoint: into a folder beside it,
 * every file and folder fsynced, then one rename. Then deletes the oldest checkpoints beyond `saveTotalLimit`
 * (at least 1; undefined keeps all), never the one just written, nor that of step `best`: it counts, and is one more
 * where the limit is 1.
 *
 * Throws PrefgradError where anything cannot be written (a full disk, say); what was there before is left as it was,
 * and the half-written folder is removed.
 */
export async function writeCheckpoint(
  outputDir: string,
  step: number,
  files: readonly CheckpointFile[],
  options: { saveTotalLimit?: number; best?: number | undefined } = {},
): Promise<Checkpoint> {
  const path = join(outputDir, `checkpoint-${step}`);
  const before = await findCheckpoints(outputDir);
  const beside = path + partial;
  let manifest: CheckpointManifest;
  try {
    await rm(beside, { recursive: true, force: true });
    await mkdir(beside, { recursive: true });
    manifest = await writeFiles(beside, step, (before.at(-1)?.sequence ?? 0) + 1, files);
    await moveIntoPlace(beside, path);
    await syncFolder(outputDir);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw explain(error, path, before);
  }
  const written = { path, step, sequence: manifest.sequence, manifest };
  const all = [...before.filter((one) => one.path !== path), written];
  const best = all.find((one) => one.step === options.best);
  const last = best === undefined || best === written ? [written] : [best, written];
  const older = all.filter((one) => !last.includes(one));
  await prune(older, options.saveTotalLimit && Math.max(options.saveTotalLimit - last.length, 0));
  return written;
}

/**
 * Tidies what a crash left in `outputDir`; the trainer calls it before its first step. Half-written checkpoints are
 * removed, and one that was being replaced is put back. A `checkpoint-<step>` folder that is not ours is a
 * PrefgradError now, instead of after hours of training.
 */
export async function recoverCheckpoints(outputDir: string): Promise<void> {
  for (const name of await folderNames(outputDir)) {
    const path = join(outputDir, name);
    if (stepOf(name.replace(partial, '')) !== undefined && name.endsWith(partial)) {
      await rm(path, { recursive: true, force: true });
    }
    if (stepOf(name.replace(replaced, '')) !== undefined && name.endsWith(replaced)) {
      const whole = path.slice(0, -replaced.length);
      if (await exists(whole)) await rm(path, { recursive: true, force: true });
      else await rename(path, whole);
    }
  }
  const ours = new Set((await findCheckpoints(outputDir)).map(({ path }) => basename(path)));
  const other = (await folderNames(outputDir)).find((name) => stepOf(name) !== undefined && !ours.has(name));
  if (other !== undefined) {
    throw new PrefgradError(
      `${join(outputDir, other)} is not a whole checkpoint of prefgrad (its ${manifestName} is missing or damaged); ` +
        'move it away or choose another output_dir',
    );
  }
}

async function writeFiles(
  folder: string,
  step: number,
  sequence: number,
  files: readonly CheckpointFile[],
): Promise<CheckpointManifest> {
  const manifest: CheckpointManifest = { format: 'prefgrad-checkpoint', step, sequence, files: {} };
  for (const file of files) {
    if (basename(file.name) !== file.name || file.name === manifestName || file.name in manifest.files) {
      throw new Error(`checkpoint: ${JSON.stringify(file.name)} is no usable name for one of its files`);
    }
    manifest.files[file.name] = await writeFile(join(folder, file.name), (sink) => file.write(sink));
  }
  const text = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(join(folder, manifestName), (sink) => sink.write(text));
  await syncFolder(folder);
  return manifest;
}

/** Writes and fsyncs one file, hashing what goes through. */
async function writeFile(
  path: string,
  write: (sink: FileSink) => Promise<void>,
): Promise<{ bytes: number; sha256: string }> {
  const handle = await open(path, 'wx');
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    await write({
      async write(chunk) {
        hash.update(chunk);
        for (let done = 0; done < chunk.byteLength;) {
          done += (await handle.write(chunk, done)).bytesWritten; // the system may take less than it was given
        }
        bytes += chunk.byteLength;
      },
    });
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function moveIntoPlace(from: string, to: string): Promise<void> {
  const aside = to + replaced;
  const there = await exists(to);
  if (there) {
    await rm(aside, { recursive: true, force: true });
    await rename(to, aside);
  }
  try {
    await rename(from, to);
  } catch (error) {
    if (there) await rename(aside, to);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/** Deletes from `checkpoints` (oldest first) those beyond the limit. */
async function prune(checkpoints: readonly Checkpoint[], limit: number | undefined): Promise<void> {
  if (limit === undefined) return;
  await deleteCheckpoints(checkpoints.slice(0, Math.max(checkpoints.length - limit, 0)));
}

export async function deleteCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
  for (const old of checkpoints) {
    // under the partial name a crash in mid-deletion leaves nothing that looks whole
    const doomed = old.path + partial;
    await rename(old.path, doomed);
    await rm(doomed, { recursive: true, force: true });
  }
}

/** Makes a folder's entries durable. Windows cannot fsync a folder and does not need to. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A failure of the disk as a sentence with a cure; other errors stay what they are. */
function explain(error: unknown, path: string, before: readonly Checkpoint[]): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  const why = error.code === 'ENOSPC' || error.code === 'EDQUOT' ? 'the disk is full' : error.message;
  const last = before.at(-1);
  return new PrefgradError(
    `${path} could not be written (${why}); ` +
      (last === undefined
        ? 'there is no earlier checkpoint; free some space or choose another output_dir, and start again'
        : `${last.path} is whole: free some space and go on with resume_from_checkpoint=${last.path}`),
    { cause: error },
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
