import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../models/files/safetensorsWriter.ts';
import { textFile } from '../models/files/savedFiles.ts';
import { openCheckpoint, writeCheckpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import { MetricsWindow } from './metrics.ts';
import type { RunRecord } from './report/record.ts';
import { restoreRecord, saveRecord } from './report/record.ts';
import { parseRunState, runState } from './runState.ts';
import type { Session } from './session.ts';
import { readTensors } from './tensors.node.ts';
import type { TrainingLoop } from './trainingLoop.ts';
import type { Tuned } from './tuned.ts';
import { savedTensor } from './tuned.ts';

/** What a checkpoint keeps of a run beside the loop's own state. */
interface RunParts {
  readonly window: MetricsWindow;
  readonly record: RunRecord;
  /** Rows that are trained on, which a resumed run must have too. */
  readonly rows: number;
  /** Wall time so far. */
  readonly seconds: number;
  /** The step whose checkpoint is kept whatever `save_total_limit` says. */
  readonly best?: number | undefined;
}

/** Writes everything that the next step depends on: a model's or an adapter's folder, moments and value head, state and record. */
export async function checkpointRun(
  config: TrainConfig,
  session: Session,
  tuned: Tuned,
  loop: TrainingLoop,
  { window, record, rows, seconds, best }: RunParts,
): Promise<{ path: string; bytes: number }> {
  const entries = loop.state.map((v) => ({
    ...savedTensor(v, session),
    dtype: v.type.dtype === 'bf16' ? ('BF16' as const) : ('F32' as const),
  }));
  const { path, manifest } = await writeCheckpoint(
    config.outputDir,
    loop.position.step,
    [
      ...tuned.files(),
      { name: 'training.safetensors', write: (sink) => writeSafetensors(sink, entries) },
      textFile('state.json', JSON.stringify(runState(loop.position, window.state, config, rows))),
      textFile('record.json', saveRecord(record, seconds)),
    ],
    config.saveTotalLimit === null ? {} : { saveTotalLimit: config.saveTotalLimit, best },
  );
  return { path, bytes: Object.values(manifest.files).reduce((n, f) => n + f.bytes, 0) };
}

/** Puts the loop where the checkpoint of `resume_from_checkpoint` was. Errors: damage, another run's settings. */
export async function resumeRun(
  config: TrainConfig,
  { device }: Session,
  tuned: Tuned,
  loop: TrainingLoop,
  rows: number,
): Promise<{ window: MetricsWindow; record: RunRecord }> {
  const { path } = await openCheckpoint(config.outputDir, config.resumeFromCheckpoint ?? true);
  const at = (name: string) => join(path, name);
  const state = parseRunState(await readFile(at('state.json'), 'utf8'), at('state.json'), config, rows);
  await tuned.restore(path);
  const read = await readTensors(at('training.safetensors'));
  for (const variable of loop.state) device.write(variable, await read(variable.name));
  loop.resume(state.position);
  const record = restoreRecord(await readFile(at('record.json'), 'utf8'), at('record.json'));
  return { window: MetricsWindow.from(state.window), record };
}
