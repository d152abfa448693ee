import type { Device, Executable, Numbers } from '../engine/index.ts';
import { compile, gatherRows, scatterAddRows, tokenLogProbs } from '../engine/index.ts';
import type { Tensor } from '../engine/index.ts';
import { checkTokens } from '../models/limits.ts';
import type { LanguageModel } from '../models/model.ts';
import type { Capacity, Sequence } from './pack.ts';
import { addNeeds, capacityOf, fits, needOf, pack, packedTypes } from './pack.ts';

/** The symbolic inputs of a packed batch. */
export type PackedInputs = { readonly [K in keyof ReturnType<typeof packedTypes>]: Tensor };

/** log π of each label [labels], and summed over each completion [completions]; hidden states [T, C]. */
export function logProbs(model: LanguageModel, inputs: PackedInputs) {
  const hidden = model.hidden(inputs);
  const tokenLogps = tokenLogProbs(gatherRows(hidden, inputs.rows), model.head.tensor, inputs.labels);
  return { hidden, tokenLogps, logps: scatterAddRows(tokenLogps, inputs.owners, inputs.lengths.type) };
}

/** Tokens that one scoring pass may hold, where no single sequence needs more. */
const PASS_TOKENS = 1024;

/** A completion's log-prob, summed over its labels, in nats. */
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
      for (const sequence of sequences.slice(results.length)) {
        const next: Capacity = need ? addNeeds(need, needOf(sequence)) : needOf(sequence);
        if (!fits(next, capacity)) break;
        need = next;
        batch.push(sequence);
      }
      const packed = pack(batch);
      const { logps } = await executable.run({ ...packed });
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
    const program = compile('score', packedTypes(capacity), (inputs) => ({
      outputs: { logps: logProbs(this.model, inputs).logps },
    }));
    this.#loaded = { capacity, executable: await this.device.load(program) };
    return this.#loaded;
  }
}

function split(batch: readonly Sequence[], logps: Numbers, lengths: Float32Array): Score[][] {
  let at = 0;
  return batch.map(({ completions }) =>
    completions.map(() => {
      const score = { logp: logps[at] ?? NaN, tokens: lengths[at] ?? 0 };
      at++;
      return score;
    }),
  );
}
