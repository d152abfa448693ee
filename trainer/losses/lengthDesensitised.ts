import { f32, mul } from '../../engine/index.ts';
import { PrefgradError } from '../../engine/errors.ts';
import type { Capacity } from '../pack.ts';
import { labelWeights, sumByCompletion } from '../pack.ts';
import type { Loss, LossBatch } from './loss.ts';
import type { PairLoss } from './pairs.ts';

/**
 * LD-DPO (Liu et al., arXiv 2409.06411) over a pairwise loss: tokens of a completion beyond the length of the
 * pair's shorter one count `alpha`, from 0 to 1, in log π and log π_ref. WPO's weights, SFT's mean and HPO's actor take
 * every token as one. Errors: an alpha outside that.
 */
export function lengthDesensitised(base: PairLoss, { alpha }: { readonly alpha: number }): Loss {
  if (!(alpha >= 0 && alpha <= 1))
    throw new PrefgradError(`lengthDesensitised: alpha must lie from 0 to 1, got ${alpha}`);
  const sequence: Loss['sequence'] = (row) => ({ ...base.sequence(row), tailWeight: alpha });
  const weighted = (batch: LossBatch): LossBatch => ({
    ...batch,
    logps: sumByCompletion(mul(batch.tokenLogps, batch.inputs['labelWeights']), batch),
  });
  return {
    ...base,
    name: `length-desensitised ${base.name}`,
    sequence,
    inputTypes: (capacity: Capacity) => ({
      ...base.inputTypes(capacity),
      labelWeights: f32([capacity.labels], 'labels'),
    }),
    inputs: (batch, ...when) => ({
      ...base.inputs(batch, ...when),
      labelWeights: labelWeights(batch.rows.map(sequence)),
    }),
    build(batch) {
      const own = weighted(batch);
      const { loss, outputs } = base.build(own);
      return { loss, outputs: { ...outputs, countedLogps: own.logps } };
    },
    metrics: (batch, numbers) =>
      base.metrics(batch, { ...numbers, logps: numbers.outputs['countedLogps'] ?? [] }),
  };
}
