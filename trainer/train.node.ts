import { join } from 'node:path';
import { DeviceLostError, PrefgradError } from '../engine/index.ts';
import { fileCache } from './cache.node.ts';
import type { TrainConfig } from './config.ts';
import { findRows } from './data/find.node.ts';
import { writeNotes } from './data/notes.node.ts';
import { environmentOf, methodOf } from './describe.node.ts';
import type { Phase, TrainEvent } from './events.ts';
import { MetricsWindow } from './metrics.ts';
import { openOutputFolder } from './outputFolder.node.ts';
import type { PreparedRun } from './prepareRun.ts';
import { prepareRun } from './prepareRun.ts';
import { emptyRecord, recordEvent } from './report/record.ts';
import { fileRewardCache } from './rewards/cache.node.ts';
import { createRewards } from './rewards/index.ts';
import { Run } from './run.node.ts';
import { resumeRun } from './runCheckpoint.node.ts';
import type { Session } from './session.ts';
import { openSession } from './session.ts';
import { StepProfile } from './stepProfile.ts';
import type { Tuned } from './tuned.ts';
import { openTuned, sizeOfAll } from './tuned.ts';

export interface TrainHooks {
  /** Aborted: the step ends, a checkpoint is saved, and the run ends as `stopped`. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: TrainEvent) => void;
  /** Measures the steps call by call, on the wasm device: a `profile` event, and profile.json in the output folder. */
  readonly profile?: boolean;
}

/** A whole run from a configuration: everything that it says is read, trained and written. */
export async function train(config: TrainConfig, hooks: TrainHooks): Promise<void> {
  const { signal, onEvent } = hooks;
  const began = performance.now();
  const onProgress = (phase: Phase, done: number, total: number) =>
    onEvent({ type: 'progress', phase, done, total });
  const replacing = await openOutputFolder(config);
  // The data is looked at before the model is loaded, so that a mistake in it shows at once.
  const reading = { signal, onProgress: (done: number, total: number) => onProgress('data', done, total) };
  const found = await findRows(config.data, reading);
  const foundHeldOut = config.evalData === null ? undefined : await findRows(config.evalData, reading);
  const profile = hooks.profile === true ? new StepProfile() : undefined;
  const session = await openSession({
    ...{ ...config, maxPositions: positionsFor(config), frozen: config.lora !== null, onProgress },
    profile: profile?.add,
  });
  try {
    const tuned = await openTuned(config, session);
    const prepared = await prepareRun({
      ...{ settings: config, session, model: tuned.model, data: found, heldOut: foundHeldOut },
      rewards: await createRewards(config.rewards),
      rewardCache: fileRewardCache(),
      referenceCache: fileCache('reference'),
      ...{ onProgress, signal },
    });
    const { loop, evaluator, watch, data } = prepared;
    try {
      // By now the reference has been computed from the original weights.
      const resumed =
        config.resumeFromCheckpoint === null
          ? undefined
          : await resumeRun(config, session, tuned, loop, data.rows.length);
      const record = resumed?.record ?? emptyRecord();
      const emit = (event: TrainEvent): void => {
        recordEvent(record, event);
        onEvent(event);
      };
      const run = new Run({
        ...{ config, session, tuned, loop, evaluator, watch, record, emit, signal, profile },
        window: resumed?.window ?? new MetricsWindow(),
        rows: data.rows.length,
        resumed: resumed !== undefined,
        seconds: () => (performance.now() - began) / 1000,
      });
      await run.checkBest();
      await announce(config, session, tuned, prepared, emit, [replacing, unprofiled(profile, session)]);
      await run.toEnd();
    } finally {
      loop.dispose();
    }
  } catch (error) {
    if (!(error instanceof DeviceLostError)) throw error;
    throw new PrefgradError(
      `${error.message}; go on from the last checkpoint in ${config.outputDir} with resume_from_checkpoint=true`,
    );
  } finally {
    await session.dispose();
  }
}

/** Rows of rotary tables: what training and sampling reach, where max_length bounds it. */
function positionsFor({ maxLength, sampling }: TrainConfig): number | undefined {
  return maxLength === null ? undefined : maxLength + sampling.maxNewTokens;
}

const unprofiled = (profile: StepProfile | undefined, { device: { kind } }: Session): string =>
  profile && kind !== 'wasm'
    ? `--profile measures the kernels of device wasm, but this run is on ${kind}: there will be no profile`
    : '';

/** Tells what the run is, and what is to be known of its data and rewards; `messages` are warnings, some empty. */
async function announce(
  config: TrainConfig,
  { device }: Session,
  tuned: Tuned,
  { data, heldOut, loop, watch, warnings }: PreparedRun,
  emit: (event: TrainEvent) => void,
  messages: readonly string[],
): Promise<void> {
  emit({
    type: 'start',
    model: config.model,
    method: methodOf(config),
    parameters: tuned.size,
    trainableParameters: sizeOfAll(tuned.model.parameters.map((p) => p.variable)),
    totalSteps: loop.totalSteps,
    firstStep: loop.position.step,
    warmupSteps: loop.warmupSteps,
    ...(config.method === 'hpo' ? { actorWarmupSteps: config.hpo.actorWarmupSteps } : {}),
    data: { train: data.rows.length, heldOut: heldOut?.rows.length ?? 0, leftOut: data.leftOut.length },
    rewards: config.rewards.map(({ name, weight }) => ({ name, weight })),
    device: device.description,
    config: { ...config },
    environment: environmentOf(),
    startedAt: new Date().toISOString(),
  });
  emit({ type: 'memory', plan: loop.memory });
  const notes = join(config.outputDir, 'data_notes.jsonl');
  const listed = await writeNotes(notes, heldOut ? [data, heldOut] : [data]);
  for (const message of [...messages, ...data.warnings, ...(heldOut?.warnings ?? []), listed])
    if (message !== '') emit({ type: 'warning', message });
  for (const warning of watch.once(warnings)) emit({ type: 'warning', ...warning });
}
