import type { Device, Executable, Hyper, MomentType, Tensor, Update } from '../engine/index.ts';
import {
  Variable,
  add,
  affine,
  compile,
  div,
  f32,
  fill,
  globalNorm,
  hyperValues,
  minimum,
  momentsOf,
  optimize,
  zeros,
} from '../engine/index.ts';
import type { Parameter } from '../models/model.ts';

export interface OptimizerOptions {
  readonly name: keyof typeof momentsOf;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Each group's global gradient norm is clipped to this; 0 for no clipping. */
  readonly maxGradNorm: number;
  /** How the moments are kept. */
  readonly state: MomentType;
  /** Seeds the rounding of moments in bf16. */
  readonly seed: number;
}

/** Numbers below 2^24, each step's another. */
const roundingSeed = (seed: number, step: number): number => (Math.imul(seed, 65537) + step) & 0xffffff;

/** Parameters that share a learning rate and a gradient norm. */
export interface ParameterGroup {
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

/** A parameter with what training keeps beside it, all on the device. */
interface Slot {
  readonly parameter: Parameter;
  readonly gradient: Variable;
  readonly moments: readonly Variable[];
}

/**
 * Gradients are summed into variables by the training program, microbatch by microbatch; `step` takes their norm,
 * clips, updates parameters and moments in place, and empties the gradients for the next step.
 */
export class Optimizer {
  readonly #groups: readonly { readonly name: string; readonly slots: readonly Slot[] }[];
  #executable: Executable | undefined;
  /** Updates done so far. */
  steps = 0;

  constructor(
    groups: readonly ParameterGroup[],
    private readonly options: OptimizerOptions,
  ) {
    this.#groups = groups.map(({ name, parameters }) => ({
      name,
      slots: parameters.map((parameter) => {
        const { variable } = parameter;
        const momentType = { ...variable.type, dtype: options.state };
        return {
          parameter,
          gradient: new Variable(`${variable.name}.gradient`, variable.type),
          moments: Array.from(
            { length: momentsOf[options.name] },
            (_, i) => new Variable(`${variable.name}.moment${i + 1}`, momentType),
          ),
        };
      }),
    }));
  }

  get #slots(): readonly Slot[] {
    return this.#groups.flatMap((g) => g.slots);
  }

  /** All trained variables, in the order of `accumulate`. */
  get parameters(): readonly Parameter[] {
    return this.#slots.map((s) => s.parameter);
  }

  get gradients(): readonly Variable[] {
    return this.#slots.map((s) => s.gradient);
  }

  get moments(): readonly Variable[] {
    return this.#slots.flatMap((s) => s.moments);
  }

  /** The updates that add a microbatch's gradients (in the order of `parameters`) to the sums. */
  accumulate(gradients: readonly Tensor[]): Update[] {
    return this.#slots.flatMap(({ gradient }, i) => {
      const d = gradients[i];
      return d ? [{ variable: gradient, value: add(gradient.tensor, d) }] : [];
    });
  }

  async load(device: Device): Promise<void> {
    const types = Object.fromEntries(this.#groups.map(({ name }) => [name, f32([hyperValues({}).length])]));
    const { maxGradNorm } = this.options;
    const program = compile('update', types, (given) => {
      const outputs: Record<string, Tensor> = {};
      const updates: Update[] = [];
      for (const { name, slots } of this.#groups) {
        const hyper = given[name];
        if (hyper === undefined || slots.length === 0) continue;
        const norm = globalNorm(slots.map((s) => s.gradient.tensor));
        outputs[name] = norm;
        const one = fill(f32([]), 1);
        const scale =
          maxGradNorm > 0 ? minimum(div(fill(f32([]), maxGradNorm), affine(norm, 1, 1e-6)), one) : one;
        for (const { parameter, gradient, moments } of slots) {
          const variables = [parameter.variable, ...moments];
          const values = optimize(
            this.options.name,
            parameter.variable.tensor,
            gradient.tensor,
            moments.map((m) => m.tensor),
            hyper,
            scale,
            parameter.decay,
          );
          variables.forEach((variable, i) => {
            const value = values[i];
            if (value) updates.push({ variable, value });
          });
          updates.push({ variable: gradient, value: zeros(gradient.type) });
        }
      }
      return { outputs, updates };
    });
    this.#executable = await device.load(program);
  }

  /** One update with each group's learning rate; resolves with each group's gradient norm before clipping. */
  async step(learningRates: Readonly<Record<string, number>>): Promise<Record<string, number>> {
    if (this.#executable === undefined) throw new Error('the optimizer is not loaded on a device');
    this.steps++;
    const { weightDecay, beta1, beta2, epsilon, seed } = this.options;
    const hyper: Partial<Hyper> = {
      weightDecay,
      beta1,
      beta2,
      epsilon,
      correction1: 1 - beta1 ** this.steps,
      correction2: 1 - beta2 ** this.steps,
      alpha: 0.99,
      roundingSeed: roundingSeed(seed, this.steps),
    };
    const inputs = Object.fromEntries(
      this.#groups.map(({ name }) => [
        name,
        hyperValues({ ...hyper, learningRate: learningRates[name] ?? 0 }),
      ]),
    );
    const outputs = await this.#executable.run(inputs);
    return Object.fromEntries(Object.entries(outputs).map(([name, norm]) => [name, norm[0] ?? NaN]));
  }

  dispose(device: Device): void {
    this.#executable?.dispose();
    for (const { gradient, moments } of this.#slots) for (const v of [gradient, ...moments]) device.free(v);
  }
}
