import { mean, neg } from '../../engine/index.ts';
import type { Loss } from './loss.ts';
import { meanOf } from './loss.ts';

export interface SftOptions {
  /** Train on the completion's tokens alone. Default true; false adds the prompt's. */
  readonly completionOnly?: boolean;
}

/** Supervised fine-tuning: mean −log p over labels; of a pair, on its chosen side. */
export function sft({ completionOnly = true }: SftOptions = {}): Loss {
  return {
    name: 'sft',
    usesReference: false,
    average: 'labels',
    sequence: (row) => ({
      promptIds: row.promptIds,
      completions: [(row.kind === 'pair' ? row.chosen : row.completion).ids],
      labelPrompt: !completionOnly,
    }),
    inputTypes: () => ({}),
    inputs: () => ({}),
    build: ({ tokenLogps }) => ({ loss: neg(mean(tokenLogps)) }),
    metrics: ({ first }, { logps }) => ({ 'logps/chosen': meanOf(first.map((i) => logps[i] ?? 0)) }),
  };
}
