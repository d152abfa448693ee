import { PrefgradError } from '../engine/errors.ts';
import type { ConfigReader } from './config.ts';
import type { RopeSettings } from './rope.ts';

/** Angular frequencies, and what cosines and sines are multiplied by. */
export interface RopeFrequencies {
  readonly frequencies: Float32Array;
  readonly scale: number;
}

/**
 * The angles by which a position turns the ⌈dim / 2⌉ pairs of a head, θ^(−2d/dim) scaled as `rope_type` says: one
 * formula for each of Transformers' modeling_rope_utils.py, in float32 as there. Errors: a type that is not built, by
 * name; a key that the type needs.
 */
export function ropeFrequencies(settings: RopeSettings, dim: number): RopeFrequencies {
  const { parameters, theta } = settings;
  const base = Float32Array.from({ length: Math.ceil(dim / 2) }, (_, d) =>
    Math.fround(1 / Math.fround(theta ** Math.fround((2 * d) / dim))),
  );
  const scaling = parameters.choice(typeKey(parameters), scalings, 'default');
  return scaling(base, settings, dim);
}

/** Older configurations call it `type`. */
const typeKey = (parameters: ConfigReader): string =>
  parameters.get('rope_type') === undefined && parameters.get('type') !== undefined ? 'type' : 'rope_type';

type Scaling = (base: Float32Array, settings: RopeSettings, dim: number) => RopeFrequencies;

const scalings: Readonly<Record<string, Scaling>> = {
  default: (frequencies) => ({ frequencies, scale: 1 }),
  /** Position interpolation (Chen et al., arXiv 2306.15595). */
  linear: (base, { parameters }) => ({
    frequencies: base.map((f) => f / required(parameters, 'factor')),
    scale: 1,
  }),
  /** Scales only beyond max_position_embeddings, where no sequence gets here. */
  dynamic: (frequencies) => ({ frequencies, scale: 1 }),
  llama3,
  yarn,
};

/** Llama 3.1: long wavelengths slowed by `factor`, short ones kept, a smooth passage between. */
function llama3(base: Float32Array, settings: RopeSettings): RopeFrequencies {
  const { parameters, originalPositions } = settings;
  const factor = required(parameters, 'factor');
  const low = required(parameters, 'low_freq_factor');
  const high = required(parameters, 'high_freq_factor');
  const frequencies = base.map((frequency) => {
    const turns = (originalPositions * frequency) / (2 * Math.PI);
    const smooth = Math.min(Math.max((turns - low) / (high - low), 0), 1);
    return smooth * frequency + ((1 - smooth) * frequency) / factor;
  });
  return { frequencies, scale: 1 };
}

/** YaRN (Peng et al., arXiv 2309.00071): pairs that turn less than `beta_slow` times are slowed by `factor`. */
function yarn(base: Float32Array, settings: RopeSettings, dim: number): RopeFrequencies {
  const { parameters, theta, maxPositions, originalPositions: original } = settings;
  const factor = parameters.number('factor', maxPositions / original);
  const magnitude = (of: number): number => (factor <= 1 ? 1 : 0.1 * of * Math.log(factor) + 1);
  const [mscale, mscaleAll] = [parameters.number('mscale', 0), parameters.number('mscale_all_dim', 0)];
  /** The pair that turns so often within the original context. */
  const pairOf = (turns: number): number =>
    (dim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = parameters.boolean('truncate', true);
  const fast = pairOf(parameters.number('beta_fast', 32));
  const slow = pairOf(parameters.number('beta_slow', 1));
  const from = Math.max(whole ? Math.floor(fast) : fast, 0);
  const to = Math.min(whole ? Math.ceil(slow) : slow, dim - 1);
  const frequencies = base.map((frequency, d) => {
    const ramp = Math.min(Math.max((d - from) / (to === from ? 0.001 : to - from), 0), 1);
    return ramp * (frequency / factor) + (1 - ramp) * frequency;
  });
  return {
    frequencies,
    scale: parameters.number(
      'attention_factor',
      mscale !== 0 && mscaleAll !== 0 ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1),
    ),
  };
}

function required(parameters: ConfigReader, key: string): number {
  if (parameters.get(key) === undefined || parameters.get(key) === null)
    throw new PrefgradError(
      `config.json: rope_type ${JSON.stringify(parameters.get(typeKey(parameters)))} needs ${key} beside it`,
    );
  return parameters.number(key, 0);
}
