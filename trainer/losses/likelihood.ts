import type { Tensor } from '../../engine/index.ts';
import { gatherRows, i32, mean, neg } from '../../engine/index.ts';
import type { Capacity } from '../pack.ts';
import type { HostBatch, LossBatch } from './loss.ts';

/** Inputs of `chosenNll`: the labels of the batch's chosen completions. */
export const likelihoodInputTypes = ({ labels }: Capacity) => ({ likelihood: i32([labels], 'likelihood') });

/** `withPrompts` adds the labels of the prompts, which the sequences must have (`labelPrompt`). */
export function likelihoodInputs({ first, packed }: HostBatch, withPrompts = false) {
  // A pair's completions are numbered chosen, rejected, prompt.
  const owners = new Set(first.flatMap((i) => (withPrompts ? [i, i + 2] : [i])));
  return { likelihood: [...packed.owners.keys()].filter((label) => owners.has(packed.owners[label] ?? -1)) };
}

/** −mean log p of the tokens of all chosen completions together: []. */
export const chosenNll = ({ tokenLogps, inputs }: LossBatch): Tensor =>
  neg(mean(gatherRows(tokenLogps, inputs['likelihood'])));
