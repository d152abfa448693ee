import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Variable } from '../engine/index.ts';
import { writeSafetensors } from '../models/files/safetensorsWriter.ts';
import type { SavedFile, SavedModel } from '../models/files/save.node.ts';
import { savedFiles } from '../models/files/save.node.ts';
import { loadWeights } from '../models/model.ts';
import { openCheckpoint, writeCheckpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import { MetricsWindow } from './metrics.ts';
import type { RunRecord } from './report/record.ts';
import { restoreRecord, saveRecord } from './report/record.ts';
import { parseRunState, runState } from './runState.ts';
import type { Session } from './session.node.ts';
import { openTensorFile, readTensors } from './tensors.node.ts';
import type { Trainer } from './trainer.ts';

/** What a checkpoint keeps of a run beside the trainer's own state. */
interface RunParts {
  readonly window: MetricsWindow;
  readonly record: RunRecord;
  /** Rows that are trained on, which a resumed run must have too. */
  readonly rows: number;
  /** Wall time so far. */
  readonly seconds: number;
}

/** Writes everything that the next step depends on: a model folder, moments and value head, state and record. */
export async function checkpointRun(
  config: TrainConfig,
  session: Session,
  trainer: Trainer,
  { window, record, rows, seconds }: RunParts,
): Promise<{ path: string; bytes: number }> {
  const entries = trainer.state.map((v) => ({ ...entryOf(v, session), dtype: 'F32' as const }));
  const text = (name: string, content: string): SavedFile => ({
    name,
    write: (sink) => sink.write(new TextEncoder().encode(content)),
  });
  const { path, manifest } = await writeCheckpoint(
    config.outputDir,
    trainer.position.step,
    [
      ...savedFiles(savedModel(session)),
      { name: 'training.safetensors', write: (sink) => writeSafetensors(sink, entries) },
      text('state.json', JSON.stringify(runState(trainer.position, window.state, config, rows))),
      text('record.json', saveRecord(record, seconds)),
    ],
    config.saveTotalLimit === null ? {} : { saveTotalLimit: config.saveTotalLimit },
  );
  return { path, bytes: Object.values(manifest.files).reduce((n, f) => n + f.bytes, 0) };
}

/** Puts the trainer where the checkpoint of `resume_from_checkpoint` was. Errors: damage, another run's settings. */
export async function resumeRun(
  config: TrainConfig,
  { model, device }: Session,
  trainer: Trainer,
  rows: number,
): Promise<{ window: MetricsWindow; record: RunRecord }> {
  const { path } = await openCheckpoint(config.outputDir, config.resumeFromCheckpoint ?? true);
  const at = (name: string) => join(path, name);
  const state = parseRunState(await readFile(at('state.json'), 'utf8'), at('state.json'), config, rows);
  const weights = await openTensorFile(at('model.safetensors'));
  await loadWeights(model, weights, device).finally(() => weights.close());
  const read = await readTensors(at('training.safetensors'));
  for (const variable of trainer.state) device.write(variable, await read(variable.name));
  trainer.resume(state.position);
  const record = restoreRecord(await readFile(at('record.json'), 'utf8'), at('record.json'));
  return { window: MetricsWindow.from(state.window), record };
}

/** The model as it is saved: its present weights with the files it came with. */
export function savedModel(session: Session): SavedModel {
  const { files, tokenizer, model } = session;
  return {
    config: files.config,
    generationConfig: files.generationConfig,
    tokenizer,
    tensors: model.parameters.map((p) => entryOf(p.variable, session)),
  };
}

const entryOf = (variable: Variable, { device }: Session) => ({
  name: variable.name,
  shape: variable.type.shape,
  data: async () => Float32Array.from(await device.read(variable)),
});
