import type { TrainConfig } from '../config.ts';
import { findRows } from '../data/find.node.ts';
import { loadRows } from '../data/load.ts';
import type { Phase } from '../events.ts';
import type { Session } from '../session.ts';
import { fileRewardCache } from './cache.node.ts';
import { computeRewards, type RewardResult } from './compute.ts';
import type { Reward } from './reward.ts';
import { targetsOf } from './targets.ts';

/**
 * How a configuration's training set normalises rewards: as training does, from the same rows. Read only where a
 * reward is standardized.
 */
export async function trainingNormalization(
  rewards: readonly Reward[],
  { tokenizer, model }: Pick<Session, 'tokenizer' | 'model'>,
  config: TrainConfig | undefined,
  onProgress: (phase: Phase, done: number, total: number) => void,
): Promise<RewardResult['normalization']> {
  const standardized = rewards.filter(({ normalize }) => normalize === 'standardize');
  if (standardized.length === 0 || config === undefined) return new Map();
  const reading = { onProgress: (done: number, total: number) => onProgress('data', done, total) };
  const { rows } = await loadRows(
    await findRows(config.data, reading),
    tokenizer,
    model,
    config,
    'train',
    reading,
  );
  const { normalization } = await computeRewards(rows.flatMap(targetsOf), standardized, {
    cache: fileRewardCache(),
    onProgress: ({ done, total }) => onProgress('rewards', done, total),
  });
  return normalization;
}
