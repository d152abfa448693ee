import { PrefgradError } from '../../engine/errors.ts';
import type { Device, Tensor } from '../../engine/index.ts';
import { Variable, add, affine, div, f32, mul, reshape } from '../../engine/index.ts';
import type { Lora, LoraLayer } from './lora.ts';
import { delta, runOnce, weightNorm } from './lora.ts';

/** Adapters that have been added to the model's own weights: the base model alone then computes what both did. */
export class MergedLora {
  #merged = true;

  private constructor(
    private readonly lora: Lora,
    private readonly device: Device,
    /** DoRA: m / ‖W + s b a‖ of each layer, kept for the way back. */
    private readonly factors: ReadonlyMap<LoraLayer, Variable>,
  ) {}

  /** Writes W + s b a (DoRA: times m / ‖W + s b a‖) where W was, for every adapted layer. */
  static async merge(lora: Lora, device: Device): Promise<MergedLora> {
    const factors = new Map<LoraLayer, Variable>();
    const updates = lora.layers.flatMap((layer) => {
      const { base, magnitude } = layer;
      const whole = add(base.weight.tensor, delta(layer));
      if (!magnitude) return [{ variable: base.weight, value: whole }];
      const factor = { variable: new Variable(`${base.name}.factor`, f32([base.outputs])) };
      const value = div(magnitude.tensor, weightNorm(layer));
      factors.set(layer, factor.variable);
      return [
        { ...factor, value },
        { variable: base.weight, value: mul(whole, alongOutputs(layer, value)) },
      ];
    });
    await runOnce(device, 'merge', updates);
    return new MergedLora(lora, device, factors);
  }

  /** Takes them out again, up to rounding. Errors: it has been done already. */
  async unmerge(): Promise<void> {
    if (!this.#merged)
      throw new PrefgradError('unmerge: the adapters are not merged; merge them again first');
    this.#merged = false;
    const updates = this.lora.layers.map((layer) => {
      const { weight } = layer.base;
      const factor = this.factors.get(layer);
      const whole = factor ? div(weight.tensor, alongOutputs(layer, factor.tensor)) : weight.tensor;
      return { variable: weight, value: add(whole, affine(delta(layer), -1)) };
    });
    await runOnce(this.device, 'unmerge', updates);
    for (const factor of this.factors.values()) this.device.free(factor);
  }
}

/** A number of each output [outputs], so that it broadcasts over the layer's weight. */
const alongOutputs = ({ base }: LoraLayer, x: Tensor): Tensor =>
  base.fanInFanOut ? x : reshape(x, [base.outputs, 1]);
