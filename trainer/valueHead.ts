import { Variable, f32, dropout, linear, relu, reshape } from '../engine/index.ts';
import type { Device, Tensor } from '../engine/index.ts';
import { PrefgradError } from '../engine/errors.ts';
import type { Parameter } from '../models/model.ts';

/** Where a value head starts: given weights, or PyTorch's Linear initialisation with the last bias at `mean`. */
export type ValueHeadStart =
  | { readonly weights: (name: string) => Promise<Float32Array> }
  | { readonly uniform: () => number; readonly mean: number };

/**
 * V(x): Linear–ReLU–Linear–ReLU–Linear on a hidden state, width = hidden size (hpo.md; arXiv 2405.17956). Its
 * parameters are `value_head.{0,1,2}.{weight,bias}`.
 */
export class ValueHead {
  readonly parameters: readonly Parameter[];
  readonly #layers: readonly { weight: Variable; bias: Variable }[];

  constructor(
    readonly hiddenSize: number,
    private readonly dropoutRate = 0,
  ) {
    this.#layers = [hiddenSize, hiddenSize, 1].map((size, i) => ({
      weight: new Variable(`value_head.${i}.weight`, f32([size, hiddenSize])),
      bias: new Variable(`value_head.${i}.bias`, f32([size])),
    }));
    this.parameters = this.#layers.flatMap(({ weight, bias }) => [
      { variable: weight, decay: true, start: { std: 0 } },
      { variable: bias, decay: false, start: { constant: 0 } },
    ]);
  }

  /** hidden [N, C] → values [N]. `seed` i32 [1] draws the dropout of a training step. */
  values(hidden: Tensor, seed: Tensor): Tensor {
    let x = hidden;
    this.#layers.forEach(({ weight, bias }, i) => {
      x = linear(x, weight.tensor, bias.tensor);
      if (i < this.#layers.length - 1) x = dropout(relu(x), seed, this.dropoutRate, i + 1);
    });
    return reshape(x, [x.shape[0] ?? 0]);
  }

  /** Gives the parameters their first numbers. Errors name a tensor of the wrong size. */
  async start(device: Device, from: ValueHeadStart): Promise<void> {
    // PyTorch's Linear: weights and biases uniform within ±1/√(fan in).
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const { variable } of this.parameters) {
      const size = variable.type.shape.reduce((a, b) => a * b, 1);
      if ('weights' in from) {
        const numbers = await from.weights(variable.name);
        if (numbers.length !== size)
          throw new PrefgradError(
            `hpo.value_head: ${variable.name} has ${numbers.length} numbers, expected ${size}`,
          );
        device.write(variable, numbers);
      } else if (variable === this.#layers[2]?.bias) device.write(variable, [from.mean]);
      else
        device.write(
          variable,
          Float32Array.from({ length: size }, () => (2 * from.uniform() - 1) * bound),
        );
    }
  }
}
