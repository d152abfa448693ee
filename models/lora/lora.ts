import { PrefgradError } from '../../engine/errors.ts';
import type { Device, Tensor } from '../../engine/index.ts';
import {
  Variable,
  add,
  affine,
  compile,
  detach,
  div,
  dropout,
  f32,
  linear,
  mul,
  product,
  reshape,
  sizeOf,
  sqrt,
  square,
  sub,
  sum,
  unpacked,
} from '../../engine/index.ts';
import type { Dense, Project } from '../dense.ts';
import { applyDense } from '../dense.ts';
import type { LanguageModel, Parameter, WeightFiles } from '../model.ts';
import type { LoraConfig } from './config.ts';
import { byPattern, findTargets } from './targets.ts';

/** A linear layer's adapter: x · weightᵀ + scale · (x · aᵀ) · bᵀ, and DoRA's magnitude of each output. */
export interface LoraLayer {
  readonly base: Dense;
  readonly scale: number;
  /** [r, inputs] */
  readonly a: Variable;
  /** [outputs, r] */
  readonly b: Variable;
  /** [outputs] */
  readonly magnitude: Variable | undefined;
}

/** Low-rank adapters of a model's linear layers; the model's own weights stay as they are, and serve both. */
export class Lora {
  readonly layers: readonly LoraLayer[];
  readonly parameters: readonly Parameter[];
  /** The model with its adapters: `parameters` are what is trained. `base` is the same model without them. */
  readonly model: LanguageModel;

  /** Errors: target modules that the model does not have. */
  constructor(
    readonly base: LanguageModel,
    readonly config: LoraConfig,
  ) {
    this.layers = findTargets(base, config).map((layer): LoraLayer => {
      const r = byPattern('rank_pattern', config.rankPattern, layer.name, config.r);
      const alpha = byPattern('alpha_pattern', config.alphaPattern, layer.name, config.loraAlpha);
      const name = `base_model.model.${layer.name}`;
      return {
        base: layer,
        scale: alpha / (config.useRslora ? Math.sqrt(r) : r),
        a: new Variable(`${name}.lora_A.weight`, f32([r, layer.inputs])),
        b: new Variable(`${name}.lora_B.weight`, f32([layer.outputs, r])),
        magnitude: config.useDora
          ? new Variable(`${name}.lora_magnitude_vector`, f32([layer.outputs]))
          : undefined,
      };
    });
    this.parameters = this.layers.flatMap(({ a, b, magnitude }) =>
      [a, b, ...(magnitude ? [magnitude] : [])].map((variable) => ({
        variable,
        decay: true,
        start: { constant: 0 },
      })),
    );
    const byDense = new Map(this.layers.map((layer, i) => [layer.base, { layer, salt: FIRST_SALT + i }]));
    this.model = {
      ...base,
      parameters: this.parameters,
      frozen: base.parameters.map((p) => p.variable),
      drops: config.loraDropout > 0,
      hidden: (inputs, hooks = {}) => {
        const { dropoutSeed } = inputs;
        const project: Project = (dense, x) => {
          const found = byDense.get(dense);
          if (found === undefined) return applyDense(dense, x);
          const dropped = dropoutSeed ? dropout(x, dropoutSeed, config.loraDropout, found.salt) : x;
          return adapted(found.layer, x, dropped);
        };
        return base.hidden(inputs, { ...hooks, project });
      },
    };
  }

  /** Starts as PEFT does: a uniform within ±1/√inputs, b at zero, magnitudes at the weights'. */
  async start(device: Device, uniform: () => number): Promise<void> {
    for (const { a, b, base } of this.layers) {
      const bound = 1 / Math.sqrt(base.inputs);
      device.write(
        a,
        Float32Array.from({ length: sizeOf(a.type.shape) }, () => (2 * uniform() - 1) * bound),
      );
      device.write(b, new Float32Array(sizeOf(b.type.shape)));
    }
    const updates = this.layers.flatMap((layer) =>
      layer.magnitude ? [{ variable: layer.magnitude, value: weightNorm(layer) }] : [],
    );
    if (updates.length > 0) await runOnce(device, 'magnitudes', updates);
  }

  /** Reads the adapters of PEFT's adapter_model.safetensors. Errors name a tensor that is missing, too many or of another shape. */
  async load(device: Device, files: WeightFiles): Promise<void> {
    const left = new Set(files.tensorNames());
    for (const { variable } of this.parameters) {
      const { name, type } = variable;
      if (!left.delete(name))
        throw new PrefgradError(
          `${files.name}: tensor ${name} is missing, which adapter_config.json asks for; is it of this model?`,
        );
      const shape = files.shape(name);
      if (shape.join() !== type.shape.join())
        throw new PrefgradError(
          `${files.name}: ${name} is [${shape.join(', ')}], the model and adapter_config.json say [${type.shape.join(', ')}]`,
        );
      device.write(variable, await files.read(name));
    }
    const [other] = left;
    if (other !== undefined)
      throw new PrefgradError(
        `${files.name}: tensor ${other} belongs to no adapter of target_modules; is it of this model?`,
      );
  }
}

/** Tells the adapters' dropout from each other. */
const FIRST_SALT = 1000;

/** s · b · a in the layout of the layer's weight. */
export const delta = ({ a, b, scale, base }: LoraLayer): Tensor =>
  affine(base.fanInFanOut ? product(a.tensor, b.tensor, true, true) : product(b.tensor, a.tensor), scale);

/** Length of each output's weights with the adapter's added: [outputs] (DoRA, Eq. 5). */
export function weightNorm(layer: LoraLayer): Tensor {
  const { weight, fanInFanOut, outputs } = layer.base;
  const whole = square(add(unpacked(weight.tensor), delta(layer)));
  return reshape(sqrt(sum(whole, fanInFanOut ? 0 : 1)), [outputs]);
}

/** A layer's output [T, outputs] with its adapter; `dropped` is what the adapter sees of x [T, inputs]. */
function adapted(layer: LoraLayer, x: Tensor, dropped: Tensor): Tensor {
  const { base, a, b, scale, magnitude } = layer;
  const low = linear(affine(linear(dropped, a.tensor), scale), b.tensor);
  if (magnitude === undefined) return add(applyDense(base, x), low);
  // m / ‖W + s b a‖, whose denominator is a constant to the gradient (DoRA, section 4.3).
  const factor = div(magnitude.tensor, detach(weightNorm(layer)));
  const plain = { ...base, bias: undefined };
  if (dropped === x) {
    const y = mul(add(applyDense(plain, x), low), factor);
    return base.bias ? add(y, base.bias.tensor) : y;
  }
  const direct = sub(applyDense(base, x), applyDense(plain, dropped));
  return add(direct, mul(add(applyDense(plain, dropped), low), factor));
}

/** Runs updates once. */
export async function runOnce(
  device: Device,
  name: string,
  updates: readonly { readonly variable: Variable; readonly value: Tensor }[],
): Promise<void> {
  const executable = await device.load(compile(name, {}, () => ({ updates })));
  await executable.run({}).finally(() => executable.dispose());
}
