import type { Method } from './types.ts';
import { nearest } from './nearest.ts';
import { listed } from './schema.ts';

/** Which losses TRL has for each method, and which of them this version can compute. */
const losses = {
  dpo: {
    available: ['sigmoid'],
    known: [
      'sigmoid',
      'hinge',
      'ipo',
      'exo_pair',
      'nca_pair',
      'robust',
      'bco_pair',
      'sppo_hard',
      'aot',
      'aot_unpaired',
      'apo_zero',
      'apo_down',
      'discopop',
      'sft',
      'sigmoid_norm',
      'cpo',
      'simpo',
      'orpo',
    ],
  },
  kto: { available: ['kto'], known: ['kto', 'apo_zero_unpaired'] },
  sft: { available: ['nll'], known: ['nll', 'dft', 'chunked_nll'] },
} as const;

/** The loss that a method takes when none is named. */
export function defaultLoss(method: Method, base: 'dpo' | 'kto'): string {
  return losses[method === 'hpo' ? base : method].available[0];
}

/** What is wrong with `loss_type`, as sentences. */
export function lossMistakes(names: readonly string[], method: Method, base: 'dpo' | 'kto'): string[] {
  const family = method === 'hpo' ? base : method;
  const known: readonly string[] = losses[family].known;
  const available: readonly string[] = losses[family].available;
  const of = method === 'hpo' ? `method hpo on base ${base}` : `method ${method}`;
  const mistakes = names.flatMap((name) => {
    if (available.includes(name)) return [];
    if (known.includes(name)) {
      return [
        `loss_type: ${name} is not available yet in prefgrad 0.1; ${of} has ${listed(available)} so far`,
      ];
    }
    return [`loss_type: ${name} is no loss of ${of}; did you mean ${nearest(name, known)}?`];
  });
  if (mistakes.length === 0 && names.length > 1) {
    mistakes.push('loss_type: a mixture of losses is not available yet in prefgrad 0.1; name one loss');
  }
  return mistakes;
}
