import { PrefgradError } from '../engine/errors.ts';
import { Variable, concat, f32, reshape, rope, split } from '../engine/index.ts';
import type { Tensor } from '../engine/index.ts';
import type { ConfigReader } from './config.ts';
import { ConfigReader as Reader } from './config.ts';
import type { LanguageModel } from './model.ts';
import { ropeFrequencies } from './ropeScaling.ts';

/** How a config.json says how far which part of a head turns, whichever version of Transformers wrote it. */
export interface RopeSettings {
  /** `rope_parameters`, or `rope_scaling` and what stood beside it. */
  readonly parameters: ConfigReader;
  readonly theta: number;
  /** The part of a head that is rotated; the rest stays as it is. */
  readonly part: number;
  /** max_position_embeddings, and what it was before a scaling lengthened it. */
  readonly maxPositions: number;
  readonly originalPositions: number;
}

/** Reads them. `older`: keys that stood for theta and the part before there was `rope_parameters`, and the default part. */
export function readRope(
  config: ConfigReader,
  maxPositions: number,
  older: { theta: string; part: string; defaultPart: number },
): RopeSettings {
  const scaling = config.object('rope_scaling');
  const parameters =
    (scaling && Object.keys(scaling.json).length > 0 ? scaling : config.object('rope_parameters')) ??
    new Reader({});
  for (const key of ['full_attention', 'sliding_attention'])
    if (parameters.get(key) !== undefined)
      throw new PrefgradError(
        `config.json: rope_parameters has other values for ${key} layers, which is not supported; expected one set for all layers`,
      );
  const original = 'original_max_position_embeddings';
  return {
    parameters,
    theta: parameters.number('rope_theta', config.number(older.theta, 10000)),
    part: parameters.number('partial_rotary_factor', config.number(older.part, older.defaultPart)),
    maxPositions,
    originalPositions: config.integer(original, parameters.integer(original, maxPositions)),
  };
}

/** A model's rotary embedding: its tables, and what it does to queries and keys. */
export interface Rotary {
  readonly constants: LanguageModel['constants'];
  /** x [T, heads · headDim], positions i32 [T] */
  readonly rotate: (x: Tensor, positions: Tensor) => Tensor;
}

/** The rotary embedding of heads of `headDim`, with tables for `positions` positions (Su et al., arXiv 2104.09864). */
export function rotary(settings: RopeSettings, headDim: number, positions: number): Rotary {
  const { frequencies, scale } = ropeFrequencies(settings, Math.floor(headDim * settings.part));
  const half = frequencies.length;
  const rest = headDim - 2 * half;
  if (rest < 0)
    throw new PrefgradError(
      `config.json: rotary embeddings turn pairs, but a head of ${headDim} has ${2 * half - 1} values to rotate; expected an even number`,
    );
  const { cos, sin } = rotaryTables(frequencies, scale, positions);
  const turn = (x: Tensor, at: Tensor): Tensor =>
    rope(x, at, cos.variable.tensor, sin.variable.tensor, 2 * half);
  return {
    constants: [cos, sin],
    rotate(x, at) {
      if (rest === 0) return turn(x, at);
      const [T = 0, width = 0] = x.shape;
      const heads = width / headDim;
      const [turned, kept] = split(reshape(x, [T, heads, headDim]), [2 * half, rest]) as [Tensor, Tensor];
      const back = reshape(turn(reshape(turned, [T, heads * 2 * half]), at), [T, heads, 2 * half]);
      return reshape(concat([back, kept]), [T, width]);
    },
  };
}

/** Cosine and sine of position · frequency times `scale`, each [positions, frequencies]; angles rounded as Transformers'. */
function rotaryTables(frequencies: Float32Array, scale: number, positions: number) {
  const half = frequencies.length;
  const table = (name: string, f: (x: number) => number) => ({
    variable: new Variable(name, f32([positions, half])),
    numbers: Float32Array.from(
      { length: positions * half },
      (_, i) => f(Math.fround(Math.floor(i / half) * (frequencies[i % half] ?? 0))) * scale,
    ),
  });
  return { cos: table('rope.cos', Math.cos), sin: table('rope.sin', Math.sin) };
}
