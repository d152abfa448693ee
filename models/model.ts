import { PrefgradError } from '../engine/errors.ts';
import type { BlockFormat, Device, InputNumbers, Tensor, TensorType } from '../engine/index.ts';
import { Variable, f32, i32, sizeOf, stored } from '../engine/index.ts';
import { SEGMENT_WIDTH } from '../engine/ops/attention.ts';
import type { Dense, Project } from './dense.ts';

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
  /** i32 [1], anew for each run: draws the dropout of a training step. Without it nothing is dropped. */
  readonly dropoutSeed?: Tensor | undefined;
}

/** Types of ModelInputs with the given capacities. */
export const modelInputTypes = (tokens: number, segments: number) => ({
  tokens: i32([tokens], 'tokens'),
  positions: i32([tokens], 'tokens'),
  segments: i32([segments, SEGMENT_WIDTH], 'segments'),
});

/** How layer `layer` attends: q [T, H · D], k and v [T, KV · D] → [T, H · D]. Generation puts its cache here. */
export type Attend = (layer: number, q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** What may take the place of parts of a model's graph. */
export interface Hooks {
  readonly attend?: Attend | undefined;
  readonly project?: Project | undefined;
}

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
  /** What is trained: all weights, or the adapters where the others are frozen. */
  readonly parameters: readonly Parameter[];
  /** Weights that the graph reads and training leaves as they are. */
  readonly frozen?: readonly Variable[];
  /** Whether its graph drops something where it is given a `dropoutSeed`. */
  readonly drops?: boolean;
  /** Its linear layers, the output head not among them. */
  readonly linears: readonly Dense[];
  /** Tables that are computed, not learned, with their numbers. */
  readonly constants: readonly { readonly variable: Variable; readonly numbers: InputNumbers }[];
  /** The head's weight [V, C]: the embedding where they are tied. */
  readonly head: Variable;
  /** Hidden states after the final norm, [T, C]. */
  hidden(inputs: ModelInputs, hooks?: Hooks): Tensor;
}

/** Where a model's weights are read from: names as in Hugging Face folders. */
export interface WeightFiles {
  readonly name: string;
  tensorNames(): Iterable<string>;
  shape(name: string): readonly number[];
  read(name: string): Promise<Float32Array>;
  /** The format in which a matrix can be had as it is stored; absent or undefined where it is unpacked anyway. */
  blocksOf?(name: string): BlockFormat | undefined;
  /** Its bytes in that format. */
  readBlocks?(name: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** What a model's graph may be told besides its config.json. */
export interface ModelOptions {
  /** Tables of rotary angles reach this far at most. */
  readonly maxPositions?: number | undefined;
  /** Matrices that are frozen, and stay in the blocks that they are stored in. */
  readonly blocksOf?: ((name: string) => BlockFormat | undefined) | undefined;
}

/** Collects a model's parameters as its constructor names them. */
export class ParameterList {
  readonly parameters: Parameter[] = [];
  readonly linears: Dense[] = [];
  constructor(
    private readonly std: number,
    private readonly blocksOf?: ModelOptions['blocksOf'],
  ) {}
  #add(name: string, type: TensorType, decay: boolean, start: Parameter['start']): Variable {
    const variable = new Variable(name, type);
    this.parameters.push({ variable, decay, start });
    return variable;
  }
  matrix(name: string, shape: readonly [number, number], std = this.std): Variable {
    const blocks = this.blocksOf?.(name);
    return this.#add(name, blocks === undefined ? f32(shape) : stored(shape, blocks), true, { std });
  }
  norm(name: string, size: number): Variable {
    return this.#add(name, f32([size]), false, { constant: 1 });
  }
  bias(name: string, size: number): Variable {
    return this.#add(name, f32([size]), false, { constant: 0 });
  }
  /** `conv1d`: the weight is [inputs, outputs]. */
  dense(
    name: string,
    inputs: number,
    outputs: number,
    { bias = true, conv1d: fanInFanOut = false, std = this.std } = {},
  ): Dense {
    const layer: Dense = {
      ...{ name, inputs, outputs, fanInFanOut },
      weight: this.matrix(`${name}.weight`, fanInFanOut ? [inputs, outputs] : [outputs, inputs], std),
      bias: bias ? this.bias(`${name}.bias`, outputs) : undefined,
    };
    this.linears.push(layer);
    return layer;
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
    if (variable.type.blocks === undefined) device.write(variable, await files.read(name));
    else if (files.readBlocks) device.write(variable, await files.readBlocks(name));
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
