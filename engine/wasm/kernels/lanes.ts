// Vectors at the end of a row that is not a multiple of four wide, and sums over the lanes of one.

/** Elements that a row function takes at once: short enough that V8 swaps in its optimized code soon. */
export const CHUNK: i32 = 4096;

/** The first n floats at x, zeros in the other lanes; reads no byte past them. A constant n = 4 leaves a plain load. */
@inline export function loadPart(x: usize, n: i32): v128 {
  if (n >= 4) return v128.load(x);
  return loadTail(x, n);
}

/** One to three floats at x. */
export function loadTail(x: usize, n: i32): v128 {
  if (n == 1) return v128.load32_zero(x);
  const pair = v128.load64_zero(x);
  return n == 2 ? pair : v128.load_lane<f32>(x, pair, 2, 8);
}

/** Stores the first n lanes at y; writes no byte past them. */
@inline export function storePart(y: usize, v: v128, n: i32): void {
  if (n >= 4) v128.store(y, v);
  else storeTail(y, i64x2.extract_lane(v, 0), i32x4.extract_lane(v, 2), n);
}

/** One to three floats at y. (asc warns of exported functions that take a v128.) */
export function storeTail(y: usize, pair: i64, third: i32, n: i32): void {
  if (n == 1) store<i32>(y, <i32>pair);
  else {
    store<i64>(y, pair);
    if (n == 3) store<i32>(y, third, 8);
  }
}

/** All bits set in lanes below n. */
@inline export function laneMask(n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n));
}

@inline export function sumLanes(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

@inline export function maxLanes(v: v128): f32 {
  const pairs = f32x4.max(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** y = x, n floats (or ints). */
export function copyFloats(x: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = v128.load(x), b = v128.load(x, 16), c = v128.load(x, 32), d = v128.load(x, 48);
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, loadPart(x, n), n);
    x += 16; y += 16;
  }
}

/** y = number, n floats. */
export function fillFloats(y: usize, number: f32, n: i32): void {
  const value = f32x4.splat(number);
  for (; n >= 16; n -= 16) {
    v128.store(y, value); v128.store(y, value, 16); v128.store(y, value, 32); v128.store(y, value, 48);
    y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, value, n);
    y += 16;
  }
}
