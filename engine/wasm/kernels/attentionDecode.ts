// Attention of few queries, as in decoding: time goes into reading keys and values, so they are read where they lie, in
// order, once for each query. A task is one query row of one head.

import { HEADS, HEAD_DIM, K, KV_HEADS, LN2, LOG2E, Q, SCALE, V, bytes, exp2Low, keyEnd, keyStart, prefixLength,
  prefixStart, queryStart } from './attentionParts';
import { logf } from './math';
import { addressAt, floatAt, fma, intAt } from './record';

/** Segments of up to so many queries come here. */
// @ts-ignore: a compile-time constant
@inline export const FEW: i32 = 2;
/** Keys at a time. */
// @ts-ignore
@inline const BLOCK: i32 = 512;

// A task's scratch: maximum and sum (to base 2, as in attention.ts), scores [BLOCK], o [D].
// @ts-ignore
@inline const SCORES: usize = 16;
// @ts-ignore
@inline const OUTPUT: usize = SCORES + (BLOCK << 2);

/** Out and lse of query i of a segment, head h. */
export function decodeQuery(p: usize, t: usize, i: i32, h: i32, out: usize, lse: usize, scratch: usize): void {
  const heads = intAt(p, HEADS), D = intAt(p, HEAD_DIM), at = (queryStart(t) + i) * heads + h;
  const q = addressAt(p, Q) + bytes(at * D), o = scratch + OUTPUT, to = out + bytes(at * D);
  store<f32>(scratch, -f32.MAX_VALUE);
  store<f32>(scratch, 0, 4);
  memory.fill(o, 0, bytes(D));
  decodeKeys(p, h, q, prefixStart(t), prefixStart(t) + prefixLength(t), scratch);
  decodeKeys(p, h, q, keyStart(t), keyEnd(t) + i, scratch);
  const sum = load<f32>(scratch, 4);
  store<f32>(lse + bytes(at), load<f32>(scratch) * LN2 + logf(sum));
  for (let d: usize = 0; d < bytes(D); d += 4) store<f32>(to + d, sum > 0 ? load<f32>(o + d) / sum : 0);
}

/** A query meets the key rows [start, end). */
function decodeKeys(p: usize, h: i32, q: usize, start: i32, end: i32, scratch: usize): void {
  const D = intAt(p, HEAD_DIM), kvHeads = intAt(p, KV_HEADS), ld = bytes(kvHeads * D);
  const g = h / (intAt(p, HEADS) / kvHeads), scores = scratch + SCORES, o = scratch + OUTPUT;
  for (; start < end; start += BLOCK) {
    const n = min(BLOCK, end - start), from = <usize>start * ld + bytes(g * D);
    decodeScores(addressAt(p, K) + from, ld, n, q, scores, floatAt(p, SCALE) * LOG2E, D);
    decodeSoftmax(scores, n, scratch, o, D);
    decodeValues(addressAt(p, V) + from, ld, n, scores, o, D);
  }
}

/** Four vectors of partial sums → their four totals. */
@inline function totals(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** scores [n] = factor · k [n, D] · q [D], and −∞ up to the next multiple of 4. */
export function decodeScores(k: usize, ld: usize, n: i32, q: usize, scores: usize, factor: f32, D: i32): void {
  const end = bytes(D), whole = end & ~15;
  for (let j = 0; j < n; j += 4) {
    // The last four repeat the last key.
    const k1 = j + 1 < n ? k + ld : k, k2 = j + 2 < n ? k1 + ld : k1, k3 = j + 3 < n ? k2 + ld : k2;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let d: usize = 0;
    for (; d < whole; d += 16) {
      const x = v128.load(q + d);
      s0 = fma(x, v128.load(k + d), s0);
      s1 = fma(x, v128.load(k1 + d), s1);
      s2 = fma(x, v128.load(k2 + d), s2);
      s3 = fma(x, v128.load(k3 + d), s3);
    }
    for (; d < end; d += 4) {
      const x = v128.load32_zero(q + d);
      s0 = fma(x, v128.load32_zero(k + d), s0);
      s1 = fma(x, v128.load32_zero(k1 + d), s1);
      s2 = fma(x, v128.load32_zero(k2 + d), s2);
      s3 = fma(x, v128.load32_zero(k3 + d), s3);
    }
    v128.store(scores + bytes(j), f32x4.mul(totals(s0, s1, s2, s3), f32x4.splat(factor)));
    k = k3 + ld;
  }
  for (let j = n; j & 3; j++) store<f32>(scores + bytes(j), -Infinity);
}

/** Scores [n] become 2^(score − maximum), and maximum, sum and o [D] move to the new maximum. */
export function decodeSoftmax(scores: usize, n: i32, state: usize, o: usize, D: i32): void {
  const end = scores + bytes((n + 3) & -4), before = load<f32>(state);
  let most = f32x4.splat(before);
  for (let at = scores; at < end; at += 16) most = f32x4.pmax(most, v128.load(at));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
  most = f32x4.pmax(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
  let sums = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const e = exp2Low(f32x4.sub(v128.load(at), most));
    v128.store(at, e);
    sums = f32x4.add(sums, e);
  }
  const shrink = f32x4.extract_lane(exp2Low(f32x4.sub(f32x4.splat(before), most)), 0);
  for (let d: usize = 0; d < bytes(D); d += 4) store<f32>(o + d, load<f32>(o + d) * shrink);
  const sum = f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1) + f32x4.extract_lane(sums, 2) +
    f32x4.extract_lane(sums, 3);
  store<f32>(state, f32x4.extract_lane(most, 0));
  store<f32>(state, load<f32>(state, 4) * shrink + sum, 4);
}

/** o [D] += scores [n] · v [n, D] */
export function decodeValues(v: usize, ld: usize, n: i32, scores: usize, o: usize, D: i32): void {
  const end = scores + bytes(n);
  let left = D;
  for (; left >= 32; left -= 32) {
    let a0 = v128.load(o), a1 = v128.load(o, 16), a2 = v128.load(o, 32), a3 = v128.load(o, 48);
    let a4 = v128.load(o, 64), a5 = v128.load(o, 80), a6 = v128.load(o, 96), a7 = v128.load(o, 112);
    let row = v;
    for (let at = scores; at < end; at += 4) {
      const x = v128.load32_splat(at);
      a0 = fma(x, v128.load(row), a0);
      a1 = fma(x, v128.load(row, 16), a1);
      a2 = fma(x, v128.load(row, 32), a2);
      a3 = fma(x, v128.load(row, 48), a3);
      a4 = fma(x, v128.load(row, 64), a4);
      a5 = fma(x, v128.load(row, 80), a5);
      a6 = fma(x, v128.load(row, 96), a6);
      a7 = fma(x, v128.load(row, 112), a7);
      row += ld;
    }
    v128.store(o, a0);
    v128.store(o, a1, 16);
    v128.store(o, a2, 32);
    v128.store(o, a3, 48);
    v128.store(o, a4, 64);
    v128.store(o, a5, 80);
    v128.store(o, a6, 96);
    v128.store(o, a7, 112);
    v += 128;
    o += 128;
  }
  for (; left >= 4; left -= 4) {
    let a = v128.load(o), row = v;
    for (let at = scores; at < end; at += 4) {
      a = fma(v128.load32_splat(at), v128.load(row), a);
      row += ld;
    }
    v128.store(o, a);
    v += 16;
    o += 16;
  }
  for (; left > 0; left--) {
    let a = load<f32>(o), row = v;
    for (let at = scores; at < end; at += 4) {
      a += load<f32>(at) * load<f32>(row);
      row += ld;
    }
    store<f32>(o, a);
    v += 4;
    o += 4;
  }
}
