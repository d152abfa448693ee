import type { TrainSettings } from './config.ts';
import { Random } from './data/random.ts';
import type { TokenizedCompletion, TokenizedRow } from './data/tokenized.ts';
import { completionsOf } from './data/tokenized.ts';
import type { Phase } from './events.ts';
import type { Rewarded } from './losses/hpo.ts';
import type { Loss } from './losses/loss.ts';
import { meanOf } from './losses/loss.ts';
import { makeLoss } from './makeLoss.ts';
import type { ReferenceCache } from './reference.ts';
import { referenceLogps } from './reference.ts';
import type { Reward, RewardCache, RewardResult } from './rewards/index.ts';
import { computeRewards } from './rewards/index.ts';
import type { Inspection } from './rewards/inspect.ts';
import { inspect } from './rewards/inspect.ts';
import type { RewardRange } from './runWatch.ts';
import { expectile } from './rewards/actorWeights.ts';
import { targetsOf } from './rewards/targets.ts';
import type { Session } from './session.ts';
import { ValueHead } from './valueHead.ts';

interface Hooks {
  readonly onProgress: (phase: Phase, done: number, total: number) => void;
  readonly signal: AbortSignal;
}

/** What a run computes before its first step, besides the reference. */
export interface Prepared {
  readonly loss: Loss;
  /** How the training set's rewards were normalised. */
  readonly normalization: RewardResult['normalization'];
  /** What the rewards are like, for HPO. */
  readonly inspection?: Inspection;
  /** R of the training completions. */
  readonly rewardRange?: RewardRange;
}

/** Tells the value head's random numbers from those of the data's order. */
const VALUE_HEAD_STREAM = 0x76616c75;

/** The loss, and for HPO its rewards and its value head. Errors: a reward that fails or is not finite. */
export async function prepareLoss(
  config: TrainSettings,
  { model, device }: Pick<Session, 'model' | 'device'>,
  rows: readonly TokenizedRow[],
  rewards: readonly Reward[],
  { onProgress, signal, cache }: Hooks & { readonly cache?: RewardCache | undefined },
): Promise<Prepared> {
  if (config.method !== 'hpo') return { loss: makeLoss(config), normalization: new Map() };

  const result = await computeRewards(rows.flatMap(targetsOf), rewards, {
    cache,
    signal,
    onProgress({ done, total: all }) {
      signal.throwIfAborted();
      onProgress('rewards', done, all);
    },
  });
  const { scores, total, normalization } = result;
  const rewarded = new Map<TokenizedCompletion, Rewarded>();
  for (const [i, completion] of rows.flatMap(completionsOf).entries()) {
    const each = Object.fromEntries([...scores].map(([name, values]) => [name, values[i] ?? NaN]));
    rewarded.set(completion, { total: total[i] ?? NaN, each });
  }
  const rewardOf = (completion: TokenizedCompletion): Rewarded => {
    const found = rewarded.get(completion);
    if (found === undefined) throw new Error('a completion of the training data has no reward');
    return found;
  };
  const valueHead = new ValueHead(model.hiddenSize, config.hpo.valueDropout);
  const { valueHead: path } = config.hpo;
  const random = new Random(config.seed, VALUE_HEAD_STREAM);
  await valueHead.start(
    device,
    path === null
      ? { uniform: () => random.uniform(), mean: meanOf([...total]) }
      : { weights: await (await import('./tensors.node.ts')).readTensors(path) },
  );
  return {
    loss: makeLoss(config, { valueHead, rewardOf }),
    normalization,
    inspection: inspect(rows, result, config),
    rewardRange: {
      baseline: expectile([...total], config.hpo.tau),
      min: total.reduce((a, b) => Math.min(a, b), Infinity),
      max: total.reduce((a, b) => Math.max(a, b), -Infinity),
    },
  };
}

/** Reference log-probs of each row's completions under the weights that are loaded now; zeros where none are used. */
export async function prepareReferences(
  { model, device, weightsHash }: Pick<Session, 'model' | 'device' | 'weightsHash'>,
  loss: Loss,
  rows: readonly TokenizedRow[],
  { onProgress, signal, cache }: Hooks & { readonly cache?: ReferenceCache | undefined },
): Promise<(row: TokenizedRow) => readonly number[]> {
  // In a mixture a row comes several times.
  const distinct = [...new Set(rows)];
  const sequences = distinct.map((row) => loss.sequence(row));
  const logps = loss.usesReference
    ? await referenceLogps(model, device, sequences, {
        cache,
        weightsHash,
        onProgress: (done, total) => onProgress('reference', done, total),
        signal,
      })
    : sequences.map(({ completions }) => completions.map(() => 0));
  const byRow = new Map(distinct.map((row, i) => [row, logps[i] ?? []]));
  return (row) => byRow.get(row) ?? [];
}
