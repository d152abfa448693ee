/** 32 random bits from a counter, the same on every backend: PCG's output permutation on element index, seed and salt. */
export function counterHash(index: number, seed: number, salt: number): number {
  let x = (Math.imul(index, 747796405) + Math.imul(seed, 277803737) + Math.imul(salt, 0x9e3779b9)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A uniform number in [0, 1) of 24 such bits. */
export const uniformAt = (index: number, seed: number, salt: number): number =>
  (counterHash(index, seed, salt) >>> 8) / 2 ** 24;
