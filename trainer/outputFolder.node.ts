import { mkdtemp, readFile, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PrefgradError } from '../engine/errors.ts';
import { removeUnfinishedSaves } from '../models/files/save.node.ts';
import { deleteCheckpoints, findCheckpoints, recoverCheckpoints } from './checkpoint.node.ts';
import type { Checkpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import { restoreRecord } from './report/record.ts';

/**
 * Throws a PrefgradError where a run could not write into its output_dir, existing or not, so that it says so before
 * it has worked for hours; and where an adapter is there, which would be taken for part of a model written beside it.
 * What it creates, in the nearest folder that exists, it removes again: that is what tells where nothing can be made at
 * all, as under /proc (where a recursive mkdir never returns).
 */
export async function checkOutputFolder(outputDir: string, written: 'model' | 'adapter'): Promise<void> {
  const refuse = (why: string) =>
    new PrefgradError(`output_dir ${outputDir}: cannot be written, since ${why}; choose another one`);
  for (let path = outputDir; ; path = dirname(path)) {
    const found = await stat(path).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // What does not exist will be made; what lies under a file (ENOTDIR) is refused at that file.
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw refuse(error instanceof Error ? error.message : String(error));
    });
    if (found === undefined && path !== dirname(path)) continue;
    if (found?.isDirectory() !== true) throw refuse(`${path} is no folder`);
    await mkdtemp(join(path, '.prefgrad-')).then(rmdir, (error: unknown) => {
      throw refuse(
        `nothing can be made in ${path} (${error instanceof Error ? error.message : String(error)})`,
      );
    });
    const adapter = await stat(join(outputDir, 'adapter_config.json')).catch(() => undefined);
    if (adapter && written === 'model')
      throw new PrefgradError(
        `output_dir ${outputDir}: holds an adapter (adapter_config.json), beside which a model would not be found; choose another one`,
      );
    return;
  }
}

/**
 * Readies a run's output_dir before anything is loaded: checks it, tidies what a crash left, and looks for another run's
 * checkpoints. Where that run has not ended, starting anew would be a mistake: a PrefgradError, unless
 * `overwrite_output_dir` says so, which deletes them. A run that has ended is replaced; the sentence says so.
 */
export async function openOutputFolder(config: TrainConfig): Promise<string> {
  const { outputDir } = config;
  await checkOutputFolder(outputDir, config.lora === null ? 'model' : 'adapter');
  await removeUnfinishedSaves(outputDir);
  await recoverCheckpoints(outputDir);
  if (config.resumeFromCheckpoint !== null) return '';
  const checkpoints = await findCheckpoints(outputDir);
  const last = checkpoints.at(-1);
  if (last === undefined) return '';
  if (config.overwriteOutputDir) {
    await deleteCheckpoints(checkpoints);
    return '';
  }
  const total = await unfinishedSteps(last);
  if (total !== undefined)
    throw new PrefgradError(
      `output_dir ${outputDir}: holds a run that has done ${last.step} of ${total} steps; go on with it by ` +
        'resume_from_checkpoint=true, start anew by overwrite_output_dir=true (which deletes its checkpoints), or choose another one',
    );
  const names = checkpoints.map(({ path }) => basename(path)).join(', ');
  const pruned = config.saveTotalLimit === null ? '' : ' until save_total_limit has other ones';
  return `output_dir ${outputDir} holds a run that has ended: this one replaces it, but its checkpoints stay${pruned} (${names})`;
}

/** All steps of a checkpoint's run, where it has not done them. */
async function unfinishedSteps({ path, step }: Checkpoint): Promise<number | undefined> {
  const at = join(path, 'record.json');
  try {
    const { start, early } = restoreRecord(await readFile(at, 'utf8'), at);
    return start !== undefined && step < start.totalSteps && early !== true ? start.totalSteps : undefined;
  } catch {
    return undefined; // a checkpoint that cannot be gone on from
  }
}
