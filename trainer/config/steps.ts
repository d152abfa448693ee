import type { TrainSettings } from './types.ts';

/**
 * Optimizer steps of a run over `rows` rows, as Transformers counts them: the last batch of an epoch may be
 * smaller, and so may the last accumulation; `maxSteps` above 0 decides alone.
 */
export function optimizerSteps(
  settings: Pick<
    TrainSettings,
    'perDeviceTrainBatchSize' | 'gradientAccumulationSteps' | 'numTrainEpochs' | 'maxSteps'
  >,
  rows: number,
): { perEpoch: number; total: number } {
  const batches = Math.ceil(rows / settings.perDeviceTrainBatchSize);
  const perEpoch = Math.max(Math.ceil(batches / settings.gradientAccumulationSteps), 1);
  const total = settings.maxSteps > 0 ? settings.maxSteps : Math.ceil(settings.numTrainEpochs * perEpoch);
  return { perEpoch, total };
}

/** `warmupSteps` in whole steps: below 1 it is a share of all steps, rounded up, as in Transformers 5. */
export function warmupStepCount(warmupSteps: number, totalSteps: number): number {
  return warmupSteps >= 1 ? warmupSteps : Math.ceil(totalSteps * warmupSteps);
}
