import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { WrittenDtype } from './safetensorsWriter.ts';
import type { SavedFile, SavedModel } from './savedFiles.ts';
import { savedFiles } from './savedFiles.ts';
import { openFileSink } from './source.node.ts';

/**
 * Saves a model as a folder that Transformers loads: config.json, generation_config.json,
 * model.safetensors, tokenizer.json, tokenizer_config.json. It is written into a folder beside and moved
 * into place when it is whole: by one rename where `folder` does not exist yet; else file by file, the
 * weights before the configuration, leaving other files there alone.
 */
export async function saveModelFiles(
  folder: string,
  model: SavedModel,
  { dtype = 'F32' }: { dtype?: WrittenDtype } = {},
): Promise<void> {
  return saveFiles(folder, savedFiles(model, dtype));
}

/** Writes files as `saveModelFiles` does. */
export async function saveFiles(folder: string, files: readonly SavedFile[]): Promise<void> {
  const target = resolve(folder);
  const beside = join(dirname(target), `.${basename(target)}.saving-${process.pid}-${Date.now()}`);
  await mkdir(beside, { recursive: true });
  try {
    for (const { name, write } of files) {
      const sink = await openFileSink(join(beside, name));
      await write(sink).finally(() => sink.close());
    }
    await syncFolder(beside);
    if (await isFolder(target)) {
      const isConfig = (name: string) => Number(/^(adapter_)?config\.json$/.test(name));
      const written = (await readdir(beside)).sort((a, b) => isConfig(a) - isConfig(b));
      for (const file of written) await rename(join(beside, file), join(target, file));
      await syncFolder(target);
    } else {
      await rename(beside, target);
    }
    await syncFolder(dirname(target));
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/**
 * Removes what `saveFiles(folder, …)` left beside `folder` where its process was killed: folders whose process is no
 * longer there, or had this one's number before it began.
 */
export async function removeUnfinishedSaves(folder: string): Promise<void> {
  const target = resolve(folder);
  const prefix = `.${basename(target)}.saving-`;
  const names = await readdir(dirname(target)).catch(() => []);
  for (const name of names) {
    const match = name.startsWith(prefix) && /^(\d+)-(\d+)$/.exec(name.slice(prefix.length));
    if (!match) continue;
    const [pid, time] = [Number(match[1]), Number(match[2])];
    const began = Date.now() - 1000 * process.uptime();
    if (pid === process.pid ? time < began : !isRunning(pid))
      await rm(join(dirname(target), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Makes renames in a folder survive a power cut, where the system lets one open a folder. */
async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // Windows cannot; its renames are journalled.
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
