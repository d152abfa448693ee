import type { InputNumbers, Tensor, TensorType } from '../../engine/index.ts';
import type { Parameter } from '../../models/model.ts';
import type { TokenizedRow } from '../data/tokenized.ts';
import type { StepMetrics } from '../metrics.ts';
import type { Capacity, PackedBatch, Sequence } from '../pack.ts';

/** A microbatch as a loss's graph sees it. */
export interface LossBatch {
  /** log π(y|x) of each completion, in nats: [completions]. */
  readonly logps: Tensor;
  /** The same of the reference; zeros where the loss uses none. */
  readonly referenceLogps: Tensor;
  /** Labels of each completion: f32 [completions]. */
  readonly lengths: Tensor;
  /** log p of each label: [labels]. */
  readonly tokenLogps: Tensor;
  /** The completion that each label belongs to: i32 [labels]. */
  readonly owners: Tensor;
  /** Statistics of each label's distribution, [labels, 4]; there if the loss `usesStatistics`. */
  readonly statistics: Tensor | undefined;
  /** Hidden states after the final norm: [T, C]. */
  readonly hidden: Tensor;
  /** The loss's own inputs, of `inputTypes`. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** What a loss's graph gives: the number to minimise, and what its metrics need. */
export interface LossGraph {
  /** Shape []. */
  readonly loss: Tensor;
  /** Further tensors that are read back, by name. */
  readonly outputs?: Readonly<Record<string, Tensor>>;
}

/** A microbatch on the host: its rows, where each row's completions are, and the numbers that were read back. */
export interface HostBatch {
  readonly rows: readonly TokenizedRow[];
  /** Number of each row's first completion. */
  readonly first: readonly number[];
  readonly packed: PackedBatch;
}

export interface LossNumbers {
  readonly loss: number;
  readonly logps: ArrayLike<number>;
  readonly referenceLogps: ArrayLike<number>;
  readonly outputs: Readonly<Record<string, ArrayLike<number>>>;
}

/** A training objective. A new one is a file that makes such an object, and a line where names are resolved. */
export interface Loss {
  readonly name: string;
  readonly usesReference: boolean;
  /** Whether its graph reads `statistics`. Default false. */
  readonly usesStatistics?: boolean;
  /** How microbatches that are accumulated weigh: each alike, or by the number of their labels. */
  readonly average: 'batches' | 'labels';
  /** Parameters of its own, trained beside the model's with their own learning rate and norm (the value head). */
  readonly parameters?: readonly Parameter[];
  /** The completions of a row that it computes; errors say which rows it cannot train on. */
  sequence(row: TokenizedRow): Sequence;
  /** Throws a PrefgradError for rows that cannot be a batch together; asked of every batch before the first step. */
  checkBatch?(rows: readonly TokenizedRow[]): void;
  inputTypes(capacity: Capacity): Readonly<Record<string, TensorType>>;
  /** Numbers of its inputs; `step` counts optimizer steps from 1, `microbatch` the microbatches of one from 0. */
  inputs(batch: HostBatch, step: number, microbatch: number): Readonly<Record<string, InputNumbers>>;
  build(batch: LossBatch): LossGraph;
  /** TRL's names, without `loss`. */
  metrics(batch: HostBatch, numbers: LossNumbers): StepMetrics;
}

export const meanOf = (values: readonly number[]): number =>
  values.reduce((a, b) => a + b, 0) / values.length;
