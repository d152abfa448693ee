import type { Device, Executable, Numbers } from '../engine/index.ts';
import {
  compile,
  f32,
  gatherRows,
  mul,
  tokenLogProbs,
  tokenLogProbsWithStatistics,
} from '../engine/index.ts';
import type { Tensor } from '../engine/index.ts';
import { checkTokens } from '../models/limits.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Capacity, Sequence } from './pack.ts';
import {
  addNeeds,
  capacityOf,
  fits,
  labelWeights,
  needOf,
  pack,
  packedTypes,
  sumByCompletion,
} from './pack.ts';

/** The symbolic inputs of a packed batch. */
export type PackedInputs = { readonly [K in keyof ReturnType<typeof packedTypes>]: Tensor };

export interface LogProbsOptions {
  readonly statistics?: boolean;
  /** For a gradient: keep the labels' logits, instead of computing them again. */
  readonly keepLogits?: boolean;
}

/**
 * log π of each label [labels], and summed over each completion [completions]; hidden states [T, C]; where they are
 * asked for, the labels' statistics [labels, 4] (STATISTICS of tokenLogProbs).
 */
export function logProbs(
  model: LanguageModel,
  inputs: PackedInputs,
  { statistics: wanted = false, keepLogits = false }: LogProbsOptions = {},
) {
  const { rows, labels, owners } = inputs;
  const hidden = model.hidden(inputs);
  const [predicting, head] = [gatherRows(hidden, rows), model.head.tensor];
  const { logps: tokenLogps, statistics } = wanted
    ? tokenLogProbsWithStatistics(predicting, head, labels, { keepLogits })
    : { logps: tokenLogProbs(predicting, head, labels, { keepLogits }), statistics: undefined };
  return { hidden, tokenLogps, statistics, owners, logps: sumByCompletion(tokenLogps, inputs) };
}

/** Tokens that one scoring pass may hold, where no single sequence needs more. */
const PASS_TOKENS = 1024;

/** A completion's log-prob in nats: the sum over its labels, weighted where its sequence has a `tailWeight`. */
export interface Score {
  readonly logp: number;
  readonly tokens: number;
}

/** Computes log-probs of completions with a model's present weights, many sequences in a pass. */
export class Scorer {
  #loaded: { capacity: Capacity; executable: Executable } | undefined;

  constructor(
    private readonly model: LanguageModel,
    private readonly device: Device,
  ) {}

  /** For each sequence the scores of its completions, in order. Errors: tokens that are no input of the model. */
  async score(
    sequences: readonly Sequence[],
    onProgress?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<Score[][]> {
    sequences.forEach(({ promptIds, completions }, i) => {
      for (const ids of completions) checkTokens([...promptIds, ...ids], `sequence ${i + 1}`, this.model);
    });
    const results: Score[][] = [];
    const { capacity, executable } = await this.#load(sequences);
    while (results.length < sequences.length) {
      signal?.throwIfAborted();
      const batch: Sequence[] = [];
      let need: Capacity | undefined;
      for (let at = results.length; at < sequences.length; at++) {
        const sequence = sequences[at];
        const next: Capacity = need ? addNeeds(need, needOf(sequence)) : needOf(sequence);
        if (!fits(next, capacity)) break;
        need = next;
        batch.push(sequence);
      }
      const packed = pack(batch);
      const { logps } = await executable.run({ ...packed, weights: labelWeights(batch) });
      results.push(...split(batch, logps ?? new Float32Array(), packed.lengths));
      onProgress?.(results.length, sequences.length);
    }
    return results;
  }

  dispose(): void {
    this.#loaded?.executable.dispose();
    this.#loaded = undefined;
  }

  async #load(sequences: readonly Sequence[]): Promise<{ capacity: Capacity; executable: Executable }> {
    const single = capacityOf(sequences, 1);
    if (this.#loaded && fits(single, this.#loaded.capacity)) return this.#loaded;
    this.dispose();
    const all = capacityOf(sequences, sequences.length);
    const capacity: Capacity = {
      ...all,
      tokens: Math.min(all.tokens, Math.max(single.tokens, PASS_TOKENS)),
      labels: Math.min(all.labels, Math.max(single.labels, PASS_TOKENS)),
    };
    const types = { ...packedTypes(capacity), weights: f32([capacity.labels], 'labels') };
    const program = compile('score', types, (inputs) => {
      const { tokenLogps } = logProbs(this.model, inputs);
      return { outputs: { logps: sumByCompletion(mul(tokenLogps, inputs.weights), inputs) } };
    });
    this.#loaded = { capacity, executable: await this.device.load(program) };
    return this.#loaded;
  }
}

function split(batch: readonly Sequence[], logps: Numbers, lengths: Float32Array): Score[][] {
  let at = 0;
  return batch.map((sequence) => {
    const start = at;
    at += needOf(sequence).completions;
    return sequence.completions.map((_, i) => ({
      logp: logps[start + i] ?? NaN,
      tokens: lengths[start + i] ?? 0,
    }));
  });
}
