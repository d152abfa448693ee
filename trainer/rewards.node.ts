import { PrefgradError } from '../engine/errors.ts';
import { openModelFiles } from '../models/files/open.ts';
import { createModel } from '../models/registry.ts';
import type { TrainConfig } from './config.ts';
import { findRows } from './data/find.node.ts';
import { loadRows } from './data/load.ts';
import type { TokenizedRow } from './data/tokenized.ts';
import type { TrainEvent } from './events.ts';
import { fileRewardCache } from './rewards/cache.node.ts';
import type { Failure } from './rewards/compute.ts';
import { computeRewards } from './rewards/compute.ts';
import { createRewards } from './rewards/index.ts';
import type { Inspection } from './rewards/inspect.ts';
import { inspect } from './rewards/inspect.ts';
import { targetsOf } from './rewards/targets.ts';

/** What a configuration's rewards say of its training data. */
export interface RewardsInspection extends Inspection {
  readonly rows: number;
  /** Every completion that a reward has no finite number for. */
  readonly failures: readonly Failure[];
}

/**
 * Computes the rewards of the training data and nothing else: no weight of the model is read, only its tokenizer, so
 * that the rows are those that training would take. Errors: data that cannot be read; an endpoint that fails.
 */
export async function inspectRewards(
  config: TrainConfig,
  { onEvent, signal }: { readonly onEvent: (event: TrainEvent) => void; readonly signal?: AbortSignal },
): Promise<RewardsInspection> {
  if (config.rewards.length === 0)
    throw new PrefgradError(
      `rewards: method ${config.method} has none; set method: hpo and name one, such as rewards: [{name: reading_level}]`,
    );
  const onProgress = (done: number, total: number) =>
    onEvent({ type: 'progress', phase: 'data', done, total });
  const reading = { onProgress, ...(signal === undefined ? {} : { signal }) };
  const file = await findRows(config.data, reading);
  const rewards = await createRewards(config.rewards);
  const rows = await rowsFor(config, file, reading, onEvent);
  const failures: Failure[] = [];
  const result = await computeRewards(rows.flatMap(targetsOf), rewards, {
    cache: fileRewardCache(),
    signal,
    onProgress: ({ done, total: all }) => onEvent({ type: 'progress', phase: 'rewards', done, total: all }),
    onFailure: (failure) => failures.push(failure),
  });
  return { rows: rows.length, failures, ...inspect(rows, result, config) };
}

async function rowsFor(
  config: TrainConfig,
  file: Awaited<ReturnType<typeof findRows>>,
  reading: { onProgress: (done: number, total: number) => void; signal?: AbortSignal },
  onEvent: (event: TrainEvent) => void,
): Promise<readonly TokenizedRow[]> {
  const files = await openModelFiles(config.model, {
    onProgress: ({ received, total }) =>
      onEvent({ type: 'progress', phase: 'load', done: received, total: total ?? received }),
  });
  try {
    if (files.tokenizer === undefined)
      throw new PrefgradError(`${files.name}: tokenizer.json is missing; save it beside the weights`);
    const model = createModel(files.config, { maxPositions: config.maxLength ?? undefined });
    const loaded = await loadRows(file, files.tokenizer, model, config, 'train', reading);
    for (const message of loaded.warnings) onEvent({ type: 'warning', message });
    return loaded.rows;
  } finally {
    await files.close();
  }
}
