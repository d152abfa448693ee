import type { Tensor, Variable } from '../engine/index.ts';
import { conv1d, linear } from '../engine/index.ts';

/** A linear layer of a model. */
export interface Dense {
  /** Transformers' name of the module: its parameters are `<name>.weight` and `<name>.bias`. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** [outputs, inputs]; [inputs, outputs] where `fanInFanOut`. */
  readonly weight: Variable;
  readonly bias: Variable | undefined;
  /** PEFT's word for the layout of GPT-2's Conv1D. */
  readonly fanInFanOut: boolean;
}

/** How a model applies a linear layer to x [T, inputs]: → [T, outputs]. Adapters take the place of `applyDense`. */
export type Project = (layer: Dense, x: Tensor) => Tensor;

/** x · weightᵀ + bias. */
export const applyDense: Project = ({ weight, bias, fanInFanOut }, x) =>
  fanInFanOut ? conv1d(x, weight.tensor, bias?.tensor) : linear(x, weight.tensor, bias?.tensor);
