import type { Tensor } from '../../engine/index.ts';
import { add, affine, div, gatherRows, mean } from '../../engine/index.ts';
import { chosenNll, likelihoodInputTypes, likelihoodInputs } from './likelihood.ts';
import type { Loss, LossGraph } from './loss.ts';
import { pairInputTypes, pairInputs, pairMetrics, pairSequence } from './pairs.ts';

export interface ReferenceFree {
  readonly name: string;
  readonly beta: number;
  /** Whether log π is the mean over a completion's tokens, else their sum. */
  readonly tokenMean: boolean;
  /** Weight of the chosen side's −mean log p; 0 leaves it out. */
  readonly likelihood: number;
  /** Whether the prompts' tokens count to that likelihood. */
  readonly withPrompts?: boolean;
  /** The loss of each pair, [pairs], from log π of each side; with further numbers to log. */
  readonly perPair: (chosen: Tensor, rejected: Tensor) => { loss: Tensor; logged?: Record<string, Tensor> };
}

/** A pairwise loss whose reward is β log π itself, beside a likelihood: no reference is needed. */
export function referenceFree(options: ReferenceFree): Loss {
  const { name, beta, tokenMean, likelihood, withPrompts = false, perPair } = options;
  const sequence = pairSequence(name);
  return {
    name,
    usesReference: false,
    average: 'batches',
    sequence: (row) => ({ ...sequence(row), labelPrompt: withPrompts }),
    inputTypes: (capacity) => ({
      ...pairInputTypes(capacity),
      ...(likelihood === 0 ? {} : likelihoodInputTypes(capacity)),
    }),
    inputs: (batch) => ({
      ...pairInputs(batch),
      ...(likelihood === 0 ? {} : likelihoodInputs(batch, withPrompts)),
    }),
    build(batch): LossGraph {
      const { logps, lengths, inputs } = batch;
      const counted = tokenMean ? div(logps, lengths) : logps;
      const of = (side: 'chosen' | 'rejected') => gatherRows(counted, inputs[side]);
      const { loss, logged } = perPair(of('chosen'), of('rejected'));
      const nll = likelihood === 0 ? undefined : chosenNll(batch);
      return {
        loss: nll ? add(mean(loss), affine(nll, likelihood)) : mean(loss),
        outputs: { ...(nll ? { nll_loss: nll } : {}), ...logged },
      };
    },
    metrics(batch, { logps, outputs }) {
      const { lengths } = batch.packed;
      const counted = Array.from(logps, (logp, i) => (tokenMean ? logp / (lengths[i] ?? NaN) : logp));
      return {
        ...pairMetrics(batch, counted, (i) => beta * (counted[i] ?? 0)),
        nll_loss: outputs['nll_loss']?.[0] ?? 0,
        ...Object.fromEntries(loggedNames.flatMap((n) => (outputs[n] ? [[n, outputs[n][0] ?? NaN]] : []))),
      };
    },
  };
}

/** ORPO's own metrics in TRL. */
const loggedNames = ['log_odds_ratio', 'log_odds_chosen'] as const;
