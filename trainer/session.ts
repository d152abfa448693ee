import type { Device, WasmOptions } from '../engine/index.ts';
import { openDevice } from '../engine/index.ts';
import { PrefgradError } from '../engine/errors.ts';
import type { AdapterFiles, ModelFiles } from '../models/files/open.ts';
import { openModelBlobs, openModelFiles } from '../models/files/open.ts';
import { Lora } from '../models/lora/lora.ts';
import { MergedLora } from '../models/lora/merge.ts';
import type { LanguageModel } from '../models/model.ts';
import { loadWeights } from '../models/model.ts';
import { createModel } from '../models/registry.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { contentHash } from './data/hash.ts';
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

/** A model's files by their names in its folder, or one .gguf file. */
export interface NamedBlobs {
  /** What messages call the model. */
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly blob: Blob }[];
}

export interface SessionOptions {
  /** As `openModelFiles` takes it, or files that a page holds. */
  readonly model: string | NamedBlobs;
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  readonly threads?: number | null | undefined;
  /** Rotary tables reach this far at most; the model's whole context by default. */
  readonly maxPositions?: number | undefined;
  /** Weights stay as they are, and in the blocks that a .gguf file has them in, where the device can keep those. */
  readonly frozen?: boolean | undefined;
  /** Is told of each run, on the wasm device. */
  readonly profile?: WasmOptions['profile'];
  readonly onProgress?: ((phase: Phase, done: number, total: number) => void) | undefined;
}

/** Opens a model and a device and loads one onto the other. Errors: files that are not whole, no tokenizer. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { model: reference, device: kind, threads, maxPositions, profile, onProgress } = options;
  const files =
    typeof reference === 'string'
      ? await openModelFiles(reference, {
          onProgress: ({ received, total }) => onProgress?.('load', received, total ?? received),
        })
      : await openModelBlobs(reference.name, reference.files);
  let device: Device | undefined;
  const dispose = async (): Promise<void> => {
    await files.close();
    await device?.dispose();
  };
  try {
    const { tokenizer } = files;
    if (tokenizer === undefined)
      throw new PrefgradError(`${files.name}: tokenizer.json is missing; save it beside the weights`);
    device = await openDevice({ device: kind, threads, profile });
    const hashed = new HashedWeights(files);
    const kept = options.frozen === true && files.adapter === undefined ? device.blocks : [];
    const model = createModel(files.config, {
      maxPositions,
      blocksOf: (name) => kept.find((format) => format === hashed.blocksOf(name)),
    });
    await loadWeights(model, hashed, device, (done, total) => onProgress?.('load', done, total));
    const hashes = [await hashed.hash()];
    if (files.adapter) hashes.push(await addAdapter(files.adapter, model, device));
    return { files, tokenizer, model, device, weightsHash: hashes.join(), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Merges an adapter into the weights; its hash. */
async function addAdapter(
  { config, tensors }: AdapterFiles,
  model: LanguageModel,
  device: Device,
): Promise<string> {
  const lora = new Lora(model, config);
  const hashed = new HashedWeights(tensors);
  await lora.load(device, hashed);
  await MergedLora.merge(lora, device);
  for (const { variable } of lora.parameters) device.free(variable);
  return contentHash([await hashed.hash(), lora.layers.map(({ scale }) => scale)]);
}

/** Tokens that end a completion: the tokenizer's EOS and all that generation_config.json names. */
export function stopTokensOf({ tokenizer, files }: Pick<Session, 'tokenizer' | 'files'>): number[] {
  const given = files.generationConfig['eos_token_id'];
  const listed = (Array.isArray(given) ? given : [given]).filter((id) => typeof id === 'number');
  return [...new Set([...listed, ...(tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId])])];
}
