// bfloat16, the upper half of a float32: four numbers are eight bytes.

/** The first n numbers at x, zeros in the other lanes; reads no byte past them. */
@inline export function loadBf16(x: usize, n: i32): v128 {
  return i32x4.shl(n >= 4 ? v128.load16x4_u(x) : loadBf16Tail(x, n), 16);
}

/** Patterns of one to three numbers at x. */
export function loadBf16Tail(x: usize, n: i32): v128 {
  return i32x4(load<u16>(x), n > 1 ? load<u16>(x, 2) : 0, n > 2 ? load<u16>(x, 4) : 0, 0);
}

/**
 * Stores the first n lanes at y, each rounded to one of its neighbours by the 16 bits of its lane of `random`
 * (roundRandomly of engine/bfloat16.ts); writes no byte past them.
 */
@inline export function storeBf16(y: usize, v: v128, n: i32, random: v128): void {
  const patterns = i32x4.shr_u(i32x4.add(v, random), 16);
  const packed = i16x8.narrow_i32x4_u(patterns, patterns);
  if (n >= 4) v128.store64_lane(y, packed, 0);
  else storeBf16Tail(y, i64x2.extract_lane(packed, 0), n);
}

/** One to three patterns at y. */
export function storeBf16Tail(y: usize, packed: i64, n: i32): void {
  store<i16>(y, <i16>packed);
  if (n > 1) store<i16>(y, <i16>(packed >> 16), 2);
  if (n > 2) store<i16>(y, <i16>(packed >> 32), 4);
}
