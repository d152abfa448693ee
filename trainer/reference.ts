import { PrefgradError } from '../engine/errors.ts';
import type { BlockFormat, Device } from '../engine/index.ts';
import type { LanguageModel, WeightFiles } from '../models/model.ts';
import { contentHash, sha256 } from './data/hash.ts';
import type { Sequence } from './pack.ts';
import { Scorer } from './score.ts';

/** Keeps reference log-probs between runs. */
export interface ReferenceCache {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<void>;
}

/** Weight files that note a hash of every tensor as it is read. */
export class HashedWeights implements WeightFiles {
  readonly #hashes = new Map<string, string>();
  constructor(private readonly files: WeightFiles) {}
  get name(): string {
    return this.files.name;
  }
  tensorNames(): Iterable<string> {
    return this.files.tensorNames();
  }
  shape(name: string): readonly number[] {
    return this.files.shape(name);
  }
  blocksOf(name: string): BlockFormat | undefined {
    return this.files.blocksOf?.(name);
  }
  async readBlocks(name: string): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.files.readBlocks) throw new Error(`${this.name} has no blocks`);
    const bytes = await this.files.readBlocks(name);
    this.#hashes.set(name, await sha256(bytes));
    return bytes;
  }
  async read(name: string): Promise<Float32Array> {
    const numbers = await this.files.read(name);
    const bytes = new Uint8Array(numbers.byteLength);
    bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    this.#hashes.set(name, await sha256(bytes));
    return numbers;
  }
  /** Of all tensors that were read. */
  hash(): Promise<string> {
    return contentHash([...this.#hashes].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/**
 * Log-probs of completions under the model's present weights, which are the reference before the first step:
 * computed once, and kept where a cache is given. The key covers weights, data and the device's arithmetic.
 */
export async function referenceLogps(
  model: LanguageModel,
  device: Device,
  sequences: readonly Sequence[],
  options: {
    readonly cache?: ReferenceCache | undefined;
    readonly weightsHash: string;
    readonly onProgress?: (done: number, total: number) => void;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<number[][]> {
  const { cache, weightsHash, onProgress, signal } = options;
  // The number of threads changes no bit; the instruction set does.
  const arithmetic = device.description.replace(/, \d+ threads?$/, '');
  const key = await contentHash({ weightsHash, arithmetic, config: model.config, sequences });
  const known = await cache?.get(key);
  if (isLogps(known, sequences)) return known;
  const scorer = new Scorer(model, device);
  const scores = await scorer.score(sequences, onProgress, signal).finally(() => scorer.dispose());
  const logps = scores.map((row) => row.map((s) => s.logp));
  if (!logps.flat().every(Number.isFinite))
    throw new PrefgradError('the model gives log-probs that are not finite; are its weights whole?');
  await cache?.set(key, logps);
  return logps;
}

function isLogps(value: unknown, sequences: readonly Sequence[]): value is number[][] {
  return (
    Array.isArray(value) &&
    value.length === sequences.length &&
    value.every(
      (row: unknown, i) =>
        Array.isArray(row) &&
        row.length === sequences[i]?.completions.length &&
        row.every((n) => typeof n === 'number' && Number.isFinite(n)),
    )
  );
}
