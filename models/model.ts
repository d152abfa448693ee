import { PrefgradError } from '../engine/errors.ts';
import type { Device, InputNumbers, Tensor, TensorType } from '../engine/index.ts';
import { Variable, f32, i32, sizeOf } from '../engine/index.ts';
import { SEGMENT_WIDTH } from '../engine/ops/attention.ts';

/** A weight of a model under its Hugging Face name. */
export interface Parameter {
  readonly variable: Variable;
  /** Weight decay applies: to matrices, not to biases and norm weights (as in Transformers' Trainer). */
  readonly decay: boolean;
  /** How pretraining from scratch starts it: normal with this standard deviation, or a constant. */
  readonly start: { readonly std: number } | { readonly constant: number };
}

/** A packed batch as a model's graph sees it: T token rows, S segments (engine/ops/attention.ts). */
export interface ModelInputs {
  /** i32 [T] */
  readonly tokens: Tensor;
  /** i32 [T], each token's position in its own sequence. */
  readonly positions: Tensor;
  /** i32 [S, 6] */
  readonly segments: Tensor;
}

/** Types of ModelInputs with the given capacities. */
export const modelInputTypes = (tokens: number, segments: number) => ({
  tokens: i32([tokens], 'tokens'),
  positions: i32([tokens], 'tokens'),
  segments: i32([segments, SEGMENT_WIDTH], 'segments'),
});

/** How layer `layer` attends: q [T, H · D], k and v [T, KV · D] → [T, H · D]. Generation puts its cache here. */
export type Attend = (layer: number, q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** A decoder-only language model: its weights, and its graph up to the final norm. */
export interface LanguageModel {
  /** Transformers' model_type. */
  readonly type: string;
  /** The Hugging Face config that it was made from, saved again as it came. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly contextLength: number;
  readonly layers: number;
  readonly attention: { readonly heads: number; readonly kvHeads: number; readonly headDim: number };
  readonly parameters: readonly Parameter[];
  /** Tables that are computed, not learned, with their numbers. */
  readonly constants: readonly { readonly variable: Variable; readonly numbers: InputNumbers }[];
  /** The head's weight [V, C]: the embedding where they are tied. */
  readonly head: Variable;
  /** Hidden states after the final norm, [T, C]. */
  hidden(inputs: ModelInputs, attend?: Attend): Tensor;
}

/** Where a model's weights are read from: names as in Hugging Face folders. */
export interface WeightFiles {
  readonly name: string;
  tensorNames(): Iterable<string>;
  shape(name: string): readonly number[];
  read(name: string): Promise<Float32Array>;
}

/** Collects a model's parameters as its constructor names them. */
export class ParameterList {
  readonly parameters: Parameter[] = [];
  constructor(private readonly std: number) {}
  #add(name: string, type: TensorType, decay: boolean, start: Parameter['start']): Variable {
    const variable = new Variable(name, type);
    this.parameters.push({ variable, decay, start });
    return variable;
  }
  matrix(name: string, shape: readonly [number, number], std = this.std): Variable {
    return this.#add(name, f32(shape), true, { std });
  }
  norm(name: string, size: number): Variable {
    return this.#add(name, f32([size]), false, { constant: 1 });
  }
  bias(name: string, size: number): Variable {
    return this.#add(name, f32([size]), false, { constant: 0 });
  }
}

/** Writes a model's constant tables to a device. */
export function writeConstants(model: LanguageModel, device: Device): void {
  for (const { variable, numbers } of model.constants) device.write(variable, numbers);
}

/** A weight's names in files: its own, the base model's, and what newer versions call GPT-NeoX's head in memory. */
const namesOf = (name: string): string[] => [
  name,
  name.replace(/^(transformer|model|gpt_neox)\./, ''),
  name.replace(/^embed_out\./, 'lm_head.'),
];

/**
 * Reads all weights into a device. Errors name the file and tensor that is missing or has another shape than
 * config.json says.
 */
export async function loadWeights(
  model: LanguageModel,
  files: WeightFiles,
  device: Device,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  writeConstants(model, device);
  const present = new Set(files.tensorNames());
  const total = model.parameters.length;
  for (const [done, { variable }] of model.parameters.entries()) {
    const name = namesOf(variable.name).find((n) => present.has(n));
    if (name === undefined)
      throw new PrefgradError(
        `${files.name}: tensor ${variable.name} is missing; is config.json of this model?`,
      );
    const shape = files.shape(name);
    if (shape.join() !== variable.type.shape.join())
      throw new PrefgradError(
        `${files.name}: ${name} is [${shape.join(', ')}], config.json says [${variable.type.shape.join(', ')}]`,
      );
    device.write(variable, await files.read(name));
    onProgress?.(done + 1, total);
  }
}

/** Starts all weights at random numbers, as a model that is to be pretrained. `normal` gives N(0, 1). */
export function initialiseWeights(model: LanguageModel, device: Device, normal: () => number): void {
  writeConstants(model, device);
  for (const { variable, start } of model.parameters) {
    const numbers = new Float32Array(sizeOf(variable.type.shape));
    device.write(
      variable,
      'constant' in start ? numbers.fill(start.constant) : numbers.map(() => normal() * start.std),
    );
  }
}
