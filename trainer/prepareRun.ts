import type { LanguageModel } from '../models/model.ts';
import type { TrainSettings } from './config.ts';
import type { FoundData, LoadedRows } from './data/load.ts';
import { loadRows } from './data/load.ts';
import { Evaluator } from './evaluation.ts';
import type { Phase } from './events.ts';
import type { Loss } from './losses/loss.ts';
import { makeLoss } from './makeLoss.ts';
import { prepareLoss, prepareReferences } from './prepare.ts';
import type { ReferenceCache } from './reference.ts';
import type { Reward, RewardCache } from './rewards/index.ts';
import type { RunWarning } from './runWatch.ts';
import { RunWatch } from './runWatch.ts';
import type { Session } from './session.ts';
import { stopTokensOf } from './session.ts';
import { TrainingLoop } from './trainingLoop.ts';

export interface RunOptions {
  readonly settings: TrainSettings;
  /** The model before training: its weights are the reference. */
  readonly session: Session;
  /** What is trained: the session's model, or that with adapters. */
  readonly model: LanguageModel;
  readonly data: FoundData;
  readonly heldOut: FoundData | undefined;
  /** Those of the settings, made. */
  readonly rewards: readonly Reward[];
  readonly rewardCache?: RewardCache | undefined;
  readonly referenceCache?: ReferenceCache | undefined;
  readonly onProgress: (phase: Phase, done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** A run before its first step. */
export interface PreparedRun {
  readonly data: LoadedRows;
  readonly heldOut: LoadedRows | undefined;
  readonly loop: TrainingLoop;
  /** Undefined without held-out rows. */
  readonly evaluator: Evaluator | undefined;
  readonly watch: RunWatch;
  /** What the rewards give cause to say. */
  readonly warnings: readonly RunWarning[];
}

/** Everything before the first step: token ids, rewards, reference log-probs, programs. Errors: what any of them says. */
export async function prepareRun(options: RunOptions): Promise<PreparedRun> {
  const { settings, session, model, rewards, rewardCache, onProgress, signal } = options;
  const { device, tokenizer } = session;
  const load = (found: FoundData, purpose: 'train' | 'evaluate') =>
    loadRows(found, tokenizer, model, settings, purpose, {
      signal,
      onProgress: (done, total) => onProgress('data', done, total),
    });
  const data = await load(options.data, 'train');
  const heldOut = options.heldOut && (await load(options.heldOut, 'evaluate'));
  const hooks = { onProgress, signal };
  const { loss, normalization, inspection, rewardRange } = await prepareLoss(
    settings,
    session,
    data.rows,
    rewards,
    {
      ...hooks,
      cache: rewardCache,
    },
  );
  const all = [...data.rows, ...(heldOut?.rows ?? [])];
  const referenceOf = await prepareReferences(session, loss, all, {
    ...hooks,
    cache: options.referenceCache,
  });
  const loop = await TrainingLoop.create({ model, device, loss, rows: data.rows, referenceOf, settings });
  const evaluator =
    heldOut &&
    new Evaluator({
      ...{ model, device, tokenizer, rewards, normalization, rewardCache },
      rows: heldOut.rows,
      loss: { loss: settings.method === 'hpo' ? baseLoss(settings) : loss, referenceOf },
      batchSize: settings.perDeviceEvalBatchSize,
      sampling: settings.sampling,
      stopTokens: stopTokensOf(session),
      seed: settings.seed,
    });
  const { usesReference } = loss;
  const watch = new RunWatch({ settings, usesReference, rewards: rewardRange });
  const warnings = (inspection?.warnings ?? []).map(({ code, reward, message }) => ({
    code: `reward_${code}/${reward}`,
    message,
  }));
  return { data, heldOut, loop, evaluator, watch, warnings };
}

/** L_pref alone: what held-out rows, whose rewards are no training targets, are measured by. */
const baseLoss = (settings: TrainSettings): Loss => makeLoss({ ...settings, method: settings.hpo.base });

/** Whether something that is done every so often is to be done after a step. */
export function isDue(
  strategy: 'no' | 'steps' | 'epoch',
  every: number,
  step: number,
  epochEnd: boolean,
): boolean {
  return strategy === 'steps' ? step % every === 0 : strategy === 'epoch' && epochEnd;
}
