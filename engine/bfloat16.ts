// bfloat16: the upper half of a float32, as 16-bit patterns.

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Widens bfloat16 patterns; exact. */
export function bfloat16ToFloat32(patterns: Uint16Array): Float32Array {
  const values = new Float32Array(patterns.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < patterns.length; i++) bits[i] = patterns[i] << 16;
  return values;
}

/** The bfloat16 pattern nearest to a float32 value, ties to even, as PyTorch rounds. */
export function toBfloat16(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN, quiet
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/**
 * A float32 value rounded to one of its two neighbours in bfloat16, away from zero with the probability of what is
 * cut off: with 16 `random` bits drawn anew each time the mean is the value. Infinity stays, and so does NaN as arithmetic makes it.
 */
export function roundRandomly(value: number, random: number): number {
  scratchFloat[0] = value;
  scratchBits[0] = (scratchBits[0] + random) & 0xffff0000;
  return scratchFloat[0];
}
