import type { BlockFormat } from '../../engine/index.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { AdapterFiles } from './adapter.ts';
import type { JsonObject } from './json.ts';
import type { Bytes } from './source.ts';

/**
 * A pretrained model's files, whatever form they have on disk: configuration, weights by their Hugging
 * Face names and in their Hugging Face layout, tokenizer. Weights are read when asked for.
 */
export interface ModelFiles {
  /** What messages call the model: its folder, file or hub id. */
  readonly name: string;
  /** config.json. */
  readonly config: JsonObject;
  /** generation_config.json; empty where there is none. */
  readonly generationConfig: JsonObject;
  readonly tokenizer: Tokenizer | undefined;
  /** Adapters that belong onto the weights, where the model was given as PEFT's folder. */
  readonly adapter?: AdapterFiles | undefined;
  tensorNames(): string[];
  /** A tensor's shape; a name that is not there is a PrefgradError. */
  shape(tensor: string): readonly number[];
  /** A tensor's values as float32, row-major. */
  read(tensor: string): Promise<Float32Array>;
  /** The format in which a matrix can be had as it is stored; absent or undefined where it is unpacked anyway. */
  blocksOf?(tensor: string): BlockFormat | undefined;
  /** Its bytes in that format. */
  readBlocks?(tensor: string): Promise<Bytes>;
  close(): Promise<void>;
}
