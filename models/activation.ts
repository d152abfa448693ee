import type { Tensor } from '../engine/index.ts';
import { gelu, geluErf, mul, relu, sigmoid } from '../engine/index.ts';
import type { ConfigReader } from './config.ts';

const silu = (x: Tensor): Tensor => mul(x, sigmoid(x));

/** By their names in Transformers' ACT2FN. */
const activations: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  gelu: geluErf,
  gelu_python: geluErf,
  gelu_new: gelu,
  gelu_pytorch_tanh: gelu,
  gelu_fast: gelu,
  relu,
  silu,
  swish: silu,
};

/** The activation that a config.json names; another one is refused by name. */
export const readActivation = (
  config: ConfigReader,
  key: string,
  fallback: string,
): ((x: Tensor) => Tensor) => config.choice(key, activations, fallback);
