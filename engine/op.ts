import type { Tensor } from './graph.ts';
import type { DType, TensorType } from './shape.ts';

export type AttrValue = number | boolean | string | readonly number[] | undefined;
export type Attrs = Readonly<Record<string, AttrValue>>;

/** A tensor's numbers on the reference backend, in the shape of this run (capacities replaced by counts). */
export interface Value {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** One input of an op's sample: f32 unless said, drawn around 0 unless said. `int: n` draws i32 below n. */
export interface SampleInput {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  readonly rows?: string;
  readonly int?: number;
  readonly positive?: boolean;
  readonly values?: readonly number[];
}

/** Inputs on which the tests check an op: its gradient by central differences, its kernels by the definition. */
export interface Sample<A extends Attrs = Attrs> {
  readonly attrs: A;
  readonly inputs: readonly SampleInput[];
  /** True rows of each count; a sample without it runs at capacity. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** What a gradient rule sees of the node that it differentiates. */
export interface GradientArgs<A extends Attrs> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attrs: A;
  /** ∂loss/∂output; undefined where the loss does not depend on that output. */
  readonly grads: readonly (Tensor | undefined)[];
  /** Inputs whose gradients are asked for; those of others may be left out. */
  readonly wanted: readonly boolean[];
}

/**
 * All that there is to know of an op. A backend adds a kernel of the same name; nothing else names an op.
 */
export interface Op<A extends Attrs = Attrs> {
  readonly name: string;
  /** Types of the outputs; throws a ShapeError that says what came and what was expected. */
  shape(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** ∂loss/∂input for each input, as more graph. Absent: the op is not differentiated (a gradient kernel, say). */
  gradient?(args: GradientArgs<A>): (Tensor | undefined)[];
  /**
   * The meaning of the op, in plain loops over float64; every other backend is checked against it. The outputs are
   * zeros before, and what accumulates is added after.
   */
  define(inputs: readonly Value[], outputs: readonly Value[], attrs: A): void;
  /** [input, output] pairs that may share memory, when nothing reads the input later. */
  inPlace?(attrs: A, inputs: readonly TensorType[]): readonly (readonly [number, number])[];
  /**
   * Outputs that can be added onto a tensor of their shape. attrs.accumulate lists those that are; what they are
   * added onto are the last inputs, in that order (baseOf of ops/inputs.ts).
   */
  readonly accumulates?: readonly number[];
  /** Outputs that only its gradient reads, and that each backend lays out as it likes. */
  internal?(attrs: A): readonly number[];
  /** Inputs that may be stored in blocks: its kernels unpack them. */
  readonly unpacks?: readonly number[];
  /** Inputs that may be bf16: its kernels widen them. */
  readonly widens?: readonly number[];
  /** Computing it again takes little time beside what keeping its outputs takes of memory. */
  readonly cheap?: boolean;
  /** The outputs are the inputs' bytes under another shape: no kernel runs. */
  readonly view?: boolean;
  readonly samples: readonly Sample<A>[];
}
