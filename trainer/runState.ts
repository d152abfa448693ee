import { PrefgradError } from '../engine/errors.ts';
import type { TrainConfig } from './config.ts';
import type { MetricsWindowState } from './metrics.ts';
import type { TrainingPosition } from './trainingLoop.ts';

/** What of a run's settings a resumed one must share, or its numbers would not be the same run's. */
function fingerprint(settings: TrainConfig, rows: number) {
  const { method, perDeviceTrainBatchSize, gradientAccumulationSteps, trainSamplingStrategy, seed } =
    settings;
  const { optim, optimStateDtype } = settings;
  return {
    method: method === 'hpo' ? `hpo on ${settings.hpo.base}` : method,
    loss_type: settings.lossType.join(', '),
    rows,
    per_device_train_batch_size: perDeviceTrainBatchSize,
    gradient_accumulation_steps: gradientAccumulationSteps,
    train_sampling_strategy: trainSamplingStrategy,
    seed,
    optim: optimStateDtype === 'float32' ? optim : `${optim} with state in ${optimStateDtype}`,
    lora: settings.lora === null ? 'none' : JSON.stringify(settings.lora),
  };
}

/** A checkpoint's state.json: the position, the metrics that were not logged yet, and the run it belongs to. */
export interface RunState {
  readonly position: TrainingPosition;
  readonly window: MetricsWindowState;
  readonly run: Readonly<Record<string, string | number>>;
}

export function runState(
  position: TrainingPosition,
  window: MetricsWindowState,
  settings: TrainConfig,
  rows: number,
): RunState {
  return { position, window, run: fingerprint(settings, rows) };
}

/** Reads state.json; errors name the setting in which the checkpoint's run was another. */
export function parseRunState(text: string, where: string, settings: TrainConfig, rows: number): RunState {
  const state = parse(text, where);
  for (const [key, value] of Object.entries(fingerprint(settings, rows)))
    if (state.run[key] !== value)
      throw new PrefgradError(
        `${where}: the checkpoint's run had ${key} ${state.run[key]}, this one has ${value}; resume with the same`,
      );
  return state;
}

function parse(text: string, where: string): RunState {
  try {
    const value: unknown = JSON.parse(text);
    if (
      typeof value === 'object' &&
      value !== null &&
      'position' in value &&
      'run' in value &&
      'window' in value
    )
      return value as RunState;
  } catch {
    // Said below.
  }
  throw new PrefgradError(`${where}: is no state of a prefgrad run`);
}
