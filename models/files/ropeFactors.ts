import { PrefgradError } from '../../engine/errors.ts';
import type { JsonObject } from './json.ts';

interface Rope {
  readonly theta: number;
  readonly headDim: number;
}

interface Llama3Scaling {
  readonly factor: number;
  readonly low: number;
  readonly high: number;
  readonly original: number;
}

/**
 * The `rope_scaling` of a Llama 3 model, from what llama.cpp keeps of it: a divisor of each rotary
 * frequency, `factors` [headDim / 2]. Between the unscaled short wavelengths and the fully scaled long
 * ones the divisor is 1 / ((1 − s) / factor + s) with s = (original / wavelength − low) / (high − low),
 * as Transformers' `_compute_llama3_parameters` has it. All models have low = 1; with that, the smooth
 * part gives the rest. Factors of another kind are a PrefgradError.
 */
export function fitLlama3Scaling(file: string, factors: Float32Array, rope: Rope): JsonObject {
  if (factors.length * 2 !== rope.headDim) {
    throw new PrefgradError(
      `${file}: rope_freqs.weight has ${factors.length} values, expected half of a head's ${rope.headDim}`,
    );
  }
  const factor = Number(Math.max(...factors).toPrecision(6));
  const candidates: Llama3Scaling[] = [{ factor, low: 1, high: 4, original: 8192 }];
  const fitted = fitSmoothPart(factors, factor, rope);
  if (fitted !== undefined) candidates.unshift(fitted);
  for (const scaling of candidates) {
    const close = (i: number) => Math.abs(llama3Factor(scaling, wavelength(rope, i)) / factors[i] - 1) < 1e-4;
    if (factors.every((_, i) => close(i))) {
      return {
        rope_type: 'llama3',
        factor,
        low_freq_factor: scaling.low,
        high_freq_factor: scaling.high,
        original_max_position_embeddings: scaling.original,
      };
    }
  }
  throw new PrefgradError(
    `${file}: rope_freqs.weight scales the rotary frequencies in a way that is not Llama 3's, which is not supported here`,
  );
}

/** s is linear in 1 / wavelength: s = a / wavelength − b, with a = original / (high − low), b = low / (high − low). */
function fitSmoothPart(factors: Float32Array, factor: number, rope: Rope): Llama3Scaling | undefined {
  const smooth: { inverse: number; s: number }[] = [];
  factors.forEach((value, i) => {
    if (value > 1.0001 && value < factor * 0.9999) {
      smooth.push({ inverse: 1 / wavelength(rope, i), s: (1 / value - 1 / factor) / (1 - 1 / factor) });
    }
  });
  const [first, last] = [smooth[0], smooth.at(-1)];
  if (first === undefined || last === undefined || first === last) return undefined;
  const a = (first.s - last.s) / (first.inverse - last.inverse);
  const b = a * first.inverse - first.s;
  const range = 1 / b; // high − low, with low = 1
  return { factor, low: 1, high: Number((1 + range).toPrecision(3)), original: Math.round(a * range) };
}

function wavelength({ theta, headDim }: Rope, i: number): number {
  return 2 * Math.PI * theta ** ((2 * i) / headDim);
}

function llama3Factor({ factor, low, high, original }: Llama3Scaling, length: number): number {
  const s = (original / length - low) / (high - low);
  const clamped = Math.min(1, Math.max(0, s));
  return 1 / ((1 - clamped) / factor + clamped);
}
