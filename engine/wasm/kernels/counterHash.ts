// The counter hash of engine/ops/counterHash.ts, so that what is drawn is the reference's.

export const INDEX_FACTOR: i32 = 747796405;
const SEED_FACTOR: i32 = 277803737;

/** Counters of four neighbouring elements from index i on; `salt` as counterHash has it. */
@inline export function counters4(i: i32, seed: i32, salt: i32): v128 {
  const first = i * INDEX_FACTOR + seed * SEED_FACTOR + salt * <i32>0x9e3779b9;
  return i32x4.add(i32x4.splat(first), i32x4(0, INDEX_FACTOR, 2 * INDEX_FACTOR, 3 * INDEX_FACTOR));
}

/** Those of the next four elements. */
@inline export function nextCounters(counters: v128): v128 {
  return i32x4.add(counters, i32x4.splat(4 * INDEX_FACTOR));
}

/** 32 random bits for each counter. */
@inline export function hash4(counters: v128): v128 {
  let h = i32x4.mul(v128.xor(counters, i32x4.shr_u(counters, 16)), i32x4.splat(0x7feb352d));
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 15)), i32x4.splat(<i32>0x846ca68b));
  return v128.xor(h, i32x4.shr_u(h, 16));
}
