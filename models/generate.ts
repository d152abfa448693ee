import { PrefgradError } from '../engine/errors.ts';
import type { Device, Executable, Update } from '../engine/index.ts';
import { Variable, attention, compile, f32, gatherRows, i32, linear, updateRows } from '../engine/index.ts';
import { checkTokens } from './limits.ts';
import type { Attend, LanguageModel } from './model.ts';
import { modelInputTypes } from './model.ts';
import type { SamplingOptions } from './sampler.ts';
import { checkSampling, sampleToken } from './sampler.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Tokens at most, besides the prompt. */
  readonly maxNewTokens: number;
  /** Ends a completion; it is not part of the result. */
  readonly stopTokens?: readonly number[] | undefined;
  /** Uniform numbers in [0, 1) of each prompt's own stream. Needed where temperature > 0. */
  readonly uniform?: ((prompt: number) => number) | undefined;
  /** Called with each token as it is chosen. */
  readonly onToken?: ((prompt: number, token: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Generated {
  readonly tokens: number[];
  /** False where maxNewTokens or the context ended it. */
  readonly stopped: boolean;
}

/** Prompt tokens that one run of the model takes. */
const PREFILL = 256;

/** One sequence that is being continued. */
interface Stream {
  readonly prompt: readonly number[];
  readonly tokens: number[];
  /** Tokens whose keys and values are in the cache. */
  cached: number;
  stopped: boolean;
}

/**
 * Continues prompts with a KV cache: every sequence has a stretch of `contextLength` rows of it, and all of them
 * advance together. One generator can be used for many calls; `dispose` frees the cache.
 */
export class Generator {
  readonly #cache: readonly Variable[];
  readonly #programs = new Map<number, Executable>();

  /** `sequences`: how many are continued at once. `contextLength`: rows of cache for each, prompt included. */
  constructor(
    private readonly model: LanguageModel,
    private readonly device: Device,
    private readonly sequences: number,
    private readonly contextLength: number,
  ) {
    if (contextLength > model.contextLength)
      throw new PrefgradError(
        `a context of ${contextLength} tokens is over the model's ${model.contextLength}`,
      );
    const { kvHeads, headDim } = model.attention;
    const type = f32([sequences * contextLength, kvHeads * headDim]);
    this.#cache = Array.from(
      { length: 2 * model.layers },
      (_, i) => new Variable(`cache.${i >> 1}.${i % 2 === 0 ? 'key' : 'value'}`, type),
    );
  }

  /** Completions of token prompts, in their order. Errors: a prompt that is empty, fills the context, or has unknown ids. */
  async generate(prompts: readonly (readonly number[])[], options: GenerateOptions): Promise<Generated[]> {
    checkSampling(options);
    prompts.forEach((prompt, i) => {
      if (prompt.length === 0)
        throw new PrefgradError(`prompt ${i + 1} has no token; add a BOS token or text`);
      if (prompt.length >= this.contextLength)
        throw new PrefgradError(
          `prompt ${i + 1} has ${prompt.length} tokens, which leaves no room in a context of ${this.contextLength}`,
        );
      checkTokens(prompt, `prompt ${i + 1}`, this.model);
    });
    const results: Generated[] = [];
    for (let start = 0; start < prompts.length; start += this.sequences)
      results.push(...(await this.#continue(prompts.slice(start, start + this.sequences), start, options)));
    return results;
  }

  dispose(): void {
    for (const executable of this.#programs.values()) executable.dispose();
    this.#programs.clear();
    for (const variable of this.#cache) this.device.free(variable);
  }

  async #continue(
    prompts: readonly (readonly number[])[],
    first: number,
    options: GenerateOptions,
  ): Promise<Generated[]> {
    const { maxNewTokens, stopTokens = [], uniform = () => 0, onToken, signal } = options;
    const streams = prompts.map((prompt): Stream => ({ prompt, tokens: [], cached: 0, stopped: false }));
    const active = (s: Stream): boolean =>
      !s.stopped && s.tokens.length < maxNewTokens && s.prompt.length + s.tokens.length < this.contextLength;
    while (streams.some(active)) {
      signal?.throwIfAborted();
      const { logits, due } = await this.#advance(streams, active);
      due.forEach((index, row) => {
        const stream = streams[index];
        if (stream === undefined) return;
        const token = sampleToken(
          logits.subarray(row * this.model.vocabSize, (row + 1) * this.model.vocabSize),
          options,
          () => uniform(first + index),
        );
        if (stopTokens.includes(token)) stream.stopped = true;
        else {
          stream.tokens.push(token);
          onToken?.(first + index, token);
        }
      });
    }
    return streams.map(({ tokens, stopped }) => ({ tokens, stopped }));
  }

  /** Runs the tokens that are not in the cache yet, up to a prefill's size; logits of streams that are due a token. */
  async #advance(
    streams: readonly Stream[],
    active: (s: Stream) => boolean,
  ): Promise<{ logits: Float32Array | Float64Array; due: number[] }> {
    const batch = {
      tokens: [] as number[],
      positions: [] as number[],
      segments: [] as number[],
      slots: [] as number[],
    };
    const due: number[] = [];
    const rows: number[] = [];
    streams.forEach((stream, slot) => {
      if (!active(stream)) return;
      const sequence = [...stream.prompt, ...stream.tokens];
      const length = Math.min(sequence.length - stream.cached, PREFILL - batch.tokens.length);
      if (length === 0) return;
      const start = stream.cached;
      const base = slot * this.contextLength;
      batch.segments.push(batch.tokens.length, length, base, start + length, 0, 0);
      for (let i = start; i < start + length; i++) {
        batch.tokens.push(sequence[i] ?? 0);
        batch.positions.push(i);
        batch.slots.push(base + i);
      }
      stream.cached += length;
      if (stream.cached < sequence.length) return;
      due.push(slot);
      rows.push(batch.tokens.length - 1);
    });
    const program = await this.#program(batch.tokens.length <= this.sequences ? this.sequences : PREFILL);
    const { logits } = await program.run({ ...batch, rows });
    return { logits: logits ?? new Float32Array(), due };
  }

  /** The program that advances up to `capacity` tokens. */
  async #program(capacity: number): Promise<Executable> {
    const known = this.#programs.get(capacity);
    if (known) return known;
    const types = {
      ...modelInputTypes(capacity, this.sequences),
      slots: i32([capacity], 'tokens'),
      rows: i32([this.sequences], 'due'),
    };
    const program = compile(`generate ${capacity}`, types, (given) => {
      const updates: Update[] = [];
      const attend: Attend = (layer, q, k, v) => {
        const [keys, values] = [k, v].map((x, i) => {
          const variable = this.#cache[2 * layer + i];
          if (variable === undefined) throw new PrefgradError(`the model has no layer ${layer}`);
          const value = updateRows(variable.tensor, given.slots, x);
          updates.push({ variable, value });
          return value;
        });
        return keys && values ? attention(q, keys, values, given.segments, this.model.attention) : q;
      };
      const hidden = this.model.hidden(given, { attend });
      return { outputs: { logits: linear(gatherRows(hidden, given.rows), this.model.head.tensor) }, updates };
    });
    const executable = await this.device.load(program);
    this.#programs.set(capacity, executable);
    return executable;
  }
}
