import type { Device } from '../engine/index.ts';
import { openDevice } from '../engine/index.ts';
import { PrefgradError } from '../engine/errors.ts';
import type { ModelFiles } from '../models/files/open.ts';
import { openModelFiles } from '../models/files/open.ts';
import type { LanguageModel } from '../models/model.ts';
import { loadWeights } from '../models/model.ts';
import { createModel } from '../models/registry.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Phase } from './events.ts';
import { HashedWeights } from './reference.ts';

/** A model with its weights on a device. */
export interface Session {
  readonly files: ModelFiles;
  readonly tokenizer: Tokenizer;
  readonly model: LanguageModel;
  readonly device: Device;
  /** Of all weights as they were read. */
  readonly weightsHash: string;
  dispose(): Promise<void>;
}

export interface SessionOptions {
  readonly model: string;
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  readonly threads?: number | null | undefined;
  /** Rotary tables reach this far at most; the model's whole context by default. */
  readonly maxPositions?: number | undefined;
  readonly onProgress?: ((phase: Phase, done: number, total: number) => void) | undefined;
}

/** Opens a model and a device and loads one onto the other. Errors: files that are not whole, no tokenizer. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { model: reference, device: kind, threads, maxPositions, onProgress } = options;
  const files = await openModelFiles(reference, {
    onProgress: ({ received, total }) => onProgress?.('load', received, total ?? received),
  });
  let device: Device | undefined;
  const dispose = async (): Promise<void> => {
    await files.close();
    await device?.dispose();
  };
  try {
    const { tokenizer } = files;
    if (tokenizer === undefined)
      throw new PrefgradError(`${files.name}: tokenizer.json is missing; save it beside the weights`);
    const model = createModel(files.config, maxPositions);
    device = await openDevice({ device: kind, threads });
    const hashed = new HashedWeights(files);
    await loadWeights(model, hashed, device, (done, total) => onProgress?.('load', done, total));
    return { files, tokenizer, model, device, weightsHash: await hashed.hash(), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Tokens that end a completion: the tokenizer's EOS and all that generation_config.json names. */
export function stopTokensOf({ tokenizer, files }: Pick<Session, 'tokenizer' | 'files'>): number[] {
  const given = files.generationConfig['eos_token_id'];
  const listed = (Array.isArray(given) ? given : [given]).filter((id) => typeof id === 'number');
  return [...new Set([...listed, ...(tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId])])];
}
