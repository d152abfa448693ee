import { PrefgradError } from '../engine/errors.ts';
import { Variable, f32 } from '../engine/index.ts';
import type { ConfigReader } from './config.ts';
import { ConfigReader as Reader } from './config.ts';

/**
 * Angular frequencies of the rotary embedding, [headDim / 2]: θ^(−2d/headDim), with Llama 3's scaling where the
 * config has it (long wavelengths slowed by `factor`, a smooth passage between).
 */
export function rotaryFrequencies(config: ConfigReader, headDim: number): Float64Array {
  const parameters = config.object('rope_parameters') ?? config.object('rope_scaling') ?? new Reader({});
  const theta = parameters.number('rope_theta', config.number('rope_theta', 10000));
  const base = Float64Array.from({ length: headDim / 2 }, (_, d) => theta ** ((-2 * d) / headDim));
  const type = parameters.get('rope_type') ?? parameters.get('type') ?? 'default';
  if (type === 'default') return base;
  if (type !== 'llama3')
    throw new PrefgradError(
      `config.json: rope_type ${JSON.stringify(type)} is not supported; supported: default, llama3`,
    );
  const factor = parameters.number('factor', 8);
  const low = parameters.number('low_freq_factor', 1);
  const high = parameters.number('high_freq_factor', 4);
  const original = parameters.number('original_max_position_embeddings', 8192);
  return base.map((frequency) => {
    const turns = (original * frequency) / (2 * Math.PI);
    const smooth = Math.min(Math.max((turns - low) / (high - low), 0), 1);
    return smooth * frequency + ((1 - smooth) * frequency) / factor;
  });
}

/** Cosine and sine of position · frequency, each [positions, headDim / 2]. */
export function rotaryTables(frequencies: Float64Array, positions: number) {
  const half = frequencies.length;
  const table = (name: string, f: (x: number) => number) => ({
    variable: new Variable(name, f32([positions, half])),
    numbers: Float32Array.from({ length: positions * half }, (_, i) =>
      f(Math.floor(i / half) * (frequencies[i % half] ?? 0)),
    ),
  });
  return { cos: table('rope.cos', Math.cos), sin: table('rope.sin', Math.sin) };
}
