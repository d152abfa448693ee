import { PrefgradError } from '../../engine/errors.ts';
import { affine, gatherRows, i32, logSigmoid, mean, neg, sub } from '../../engine/index.ts';
import { place } from '../data/rows.ts';
import type { Loss } from './loss.ts';
import { meanOf } from './loss.ts';

export interface DpoOptions {
  /** β, the strength of the pull towards the reference. Default 0.1. */
  readonly beta?: number;
}

/**
 * Direct Preference Optimization, sigmoid (Rafailov et al., arXiv 2305.18290, Eq. 7):
 * −mean log σ(β [(log π(y_w) − log π_ref(y_w)) − (log π(y_l) − log π_ref(y_l))]).
 */
export function dpo({ beta = 0.1 }: DpoOptions = {}): Loss {
  return {
    name: 'dpo',
    usesReference: true,
    average: 'batches',
    sequence(row) {
      if (row.kind !== 'pair')
        throw new PrefgradError(
          `${place(row.origin)}: DPO needs prompt, chosen and rejected; this row is no pair`,
        );
      return { promptIds: row.promptIds, completions: [row.chosen.ids, row.rejected.ids] };
    },
    inputTypes: ({ sequences }) => ({
      chosen: i32([sequences], 'pairs'),
      rejected: i32([sequences], 'pairs'),
    }),
    inputs: ({ first }) => ({
      chosen: Int32Array.from(first),
      rejected: Int32Array.from(first, (i) => i + 1),
    }),
    build({ logps, referenceLogps, inputs }) {
      const logRatios = sub(logps, referenceLogps);
      const margin = sub(gatherRows(logRatios, inputs['chosen']), gatherRows(logRatios, inputs['rejected']));
      return { loss: neg(mean(logSigmoid(affine(margin, beta)))) };
    },
    metrics({ first }, { logps, referenceLogps }) {
      const reward = (i: number) => beta * ((logps[i] ?? 0) - (referenceLogps[i] ?? 0));
      const margins = first.map((i) => reward(i) - reward(i + 1));
      return {
        'rewards/chosen': meanOf(first.map(reward)),
        'rewards/rejected': meanOf(first.map((i) => reward(i + 1))),
        'rewards/margins': meanOf(margins),
        'rewards/accuracies': meanOf(margins.map((m) => (m > 0 ? 1 : 0))),
        'logps/chosen': meanOf(first.map((i) => logps[i] ?? 0)),
        'logps/rejected': meanOf(first.map((i) => logps[i + 1] ?? 0)),
      };
    },
  };
}
