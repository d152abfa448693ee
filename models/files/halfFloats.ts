import { float16Values } from '../../engine/float16.ts';

/**
 * Float16 (IEEE 754 binary16) as 16-bit patterns, to and from float32.
 * Narrowing rounds to the nearest, ties to even, as PyTorch does.
 */

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** The value of one float16 pattern. */
export function float16Value(bits: number): number {
  return float16Values()[bits];
}

/** Widens float16 patterns; exact. */
export function float16ToFloat32(patterns: Uint16Array): Float32Array {
  const table = float16Values();
  const values = new Float32Array(patterns.length);
  for (let i = 0; i < patterns.length; i++) values[i] = table[patterns[i]];
  return values;
}

/** The float16 pattern nearest to a float32 value; beyond ±65,519.99 it is ±infinity. */
export function toFloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 2^16 or more
  if (magnitude < 0x38800000) {
    // Below 2^-14 float16 counts in steps of 2^-24; doubles hold the quotient exactly.
    return sign | roundHalfToEven(Math.abs(scratchFloat[0]) * 2 ** 24);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
