// Attention of few queries, as in decoding: time goes into reading keys and values once, so nothing is packed. A task
// takes four of the query rows that share a kv head (of its query heads, and of the segment's queries): each key that is
// loaded meets four queries, and the scores [key][4] hold one query a lane.

import { ALL, HEADS, HEAD_DIM, K, KEY_BLOCK, KV_HEADS, Q, SCALE, V, bytes, keyEnd, keyLength, keyStart, panelsOf,
  prefixLength, prefixStart, queryLength, queryStart } from './attentionParts';
import { exp4, log4 } from './math';
import { addressAt, floatAt, intAt, fma } from './record';

/** Segments of up to so many queries come here. */
// @ts-ignore: compile-time constants
@inline export const FEW: i32 = 4;

// A task's scratch, in bytes: addresses of four query rows, the key row that each does not see any more (of its own
// segment), maximum and sum of each, then scores [KEY_BLOCK][4], then o [4][D rounded up to 4].
// @ts-ignore
@inline const SEE: usize = 16;
// @ts-ignore
@inline const MAXIMUM: usize = 32;
// @ts-ignore
@inline const SUM: usize = 48;
// @ts-ignore
@inline const SCORES: usize = 64;
// @ts-ignore
@inline const OUTPUT: usize = SCORES + (KEY_BLOCK << 4);

@inline function outputStep(D: i32): usize { return bytes((D + 3) & -4); }

/** Tasks of a segment. */
export function decodeTasks(p: usize, queries: i32): i32 {
  const kvHeads = intAt(p, KV_HEADS);
  return kvHeads * panelsOf(intAt(p, HEADS) / kvHeads * queries, 4);
}

/** Out and lse of the segment's task n. */
export function decodeSegment(p: usize, t: usize, n: i32, out: usize, lse: usize, scratch: usize): void {
  const heads = intAt(p, HEADS), D = intAt(p, HEAD_DIM), group = heads / intAt(p, KV_HEADS);
  const queries = group * queryLength(t), tasks = panelsOf(queries, 4), g = n / tasks, first = (n % tasks) * 4;
  const count = min(4, queries - first), step = outputStep(D);
  for (let r = 0; r < 4; r++) {
    // Lanes without a query repeat the first one.
    const v = r < count ? first + r : first, i = v / group;
    const row = (queryStart(t) + i) * heads + g * group + v % group;
    store<u32>(scratch + bytes(r), <u32>(addressAt(p, Q) + bytes(row * D)));
    store<i32>(scratch + bytes(r), keyEnd(t) + i, SEE);
  }
  v128.store(scratch, f32x4.splat(-f32.MAX_VALUE), MAXIMUM);
  v128.store(scratch, f32x4.splat(0), SUM);
  memory.fill(scratch + OUTPUT, 0, step << 2);
  decodeKeys(p, g, prefixStart(t), prefixStart(t) + prefixLength(t), false, scratch);
  decodeKeys(p, g, keyStart(t), min(keyStart(t) + keyLength(t), keyEnd(t) + queryLength(t)), true, scratch);

  const sum = v128.load(scratch, SUM), total = f32x4.add(v128.load(scratch, MAXIMUM), log4(sum));
  const inverse = v128.and(f32x4.div(f32x4.splat(1), sum), f32x4.gt(sum, f32x4.splat(0)));
  v128.store(scratch, total, MAXIMUM);
  v128.store(scratch, inverse, SUM);
  for (let r = 0; r < count; r++) {
    const v = first + r, row = (queryStart(t) + v / group) * heads + g * group + v % group;
    const factor = load<f32>(scratch + bytes(r), SUM), o = scratch + OUTPUT + <usize>r * step, to = out + bytes(row * D);
    for (let d: usize = 0; d < bytes(D); d += 4) store<f32>(to + d, load<f32>(o + d) * factor);
    store<f32>(lse + bytes(row), load<f32>(scratch + bytes(r), MAXIMUM));
  }
}

/** The four queries meet keys [start, end) of kv head g, causally if they are the segment's own. */
function decodeKeys(p: usize, g: i32, start: i32, end: i32, own: bool, scratch: usize): void {
  const D = intAt(p, HEAD_DIM), ld = bytes(intAt(p, KV_HEADS) * D);
  for (; start < end; start += KEY_BLOCK) {
    const n = min(KEY_BLOCK, end - start), from = <usize>start * ld + bytes(g * D);
    decodeScores(addressAt(p, K) + from, ld, n, scratch, floatAt(p, SCALE), D);
    decodeSoftmax(start, n, own, scratch, D);
    decodeValues(addressAt(p, V) + from, ld, n, scratch, D);
  }
}

/** Four vectors of partial sums → their four totals. */
@inline function totals(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Scores [n][4] = scale · key · query. */
export function decodeScores(k: usize, ld: usize, n: i32, scratch: usize, scale: f32, D: i32): void {
  const q0 = <usize>load<u32>(scratch), q1 = <usize>load<u32>(scratch, 4);
  const q2 = <usize>load<u32>(scratch, 8), q3 = <usize>load<u32>(scratch, 12);
  const end = bytes(D), whole = end & ~15;
  let to = scratch + SCORES;
  for (let j = 0; j < n; j++) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let d: usize = 0;
    for (; d < whole; d += 16) {
      const x = v128.load(k + d);
      s0 = fma(x, v128.load(q0 + d), s0);
      s1 = fma(x, v128.load(q1 + d), s1);
      s2 = fma(x, v128.load(q2 + d), s2);
      s3 = fma(x, v128.load(q3 + d), s3);
    }
    for (; d < end; d += 4) {
      const x = v128.load32_zero(k + d);
      s0 = fma(x, v128.load32_zero(q0 + d), s0);
      s1 = fma(x, v128.load32_zero(q1 + d), s1);
      s2 = fma(x, v128.load32_zero(q2 + d), s2);
      s3 = fma(x, v128.load32_zero(q3 + d), s3);
    }
    v128.store(to, f32x4.mul(totals(s0, s1, s2, s3), f32x4.splat(scale)));
    to += 16;
    k += ld;
  }
}

/** Scores [n][4] of keys from `start` on become exp(score − maximum), 0 where a query does not see its segment's key. */
export function decodeSoftmax(start: i32, n: i32, own: bool, scratch: usize, D: i32): void {
  const scores = scratch + SCORES, before = v128.load(scratch, MAXIMUM);
  const see = own ? v128.load(scratch, SEE) : i32x4.splat(ALL);
  let maximum = before, at = scores;
  for (let j = start; j < start + n; j++) {
    const s = v128.bitselect(v128.load(at), f32x4.splat(-Infinity), i32x4.gt_s(see, i32x4.splat(j)));
    v128.store(at, s);
    maximum = f32x4.pmax(maximum, s);
    at += 16;
  }
  const shrink = exp4(f32x4.sub(before, maximum));
  let sum = f32x4.mul(v128.load(scratch, SUM), shrink);
  at = scores;
  for (let j = 0; j < n; j++) {
    const e = exp4(f32x4.sub(v128.load(at), maximum));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
    at += 16;
  }
  v128.store(scratch, maximum, MAXIMUM);
  v128.store(scratch, sum, SUM);
  shrinkRow(scratch + OUTPUT, v128.shuffle<f32>(shrink, shrink, 0, 0, 0, 0), outputStep(D));
  shrinkRow(scratch + OUTPUT + outputStep(D), v128.shuffle<f32>(shrink, shrink, 1, 1, 1, 1), outputStep(D));
  shrinkRow(scratch + OUTPUT + 2 * outputStep(D), v128.shuffle<f32>(shrink, shrink, 2, 2, 2, 2), outputStep(D));
  shrinkRow(scratch + OUTPUT + 3 * outputStep(D), v128.shuffle<f32>(shrink, shrink, 3, 3, 3, 3), outputStep(D));
}

@inline function shrinkRow(o: usize, factor: v128, length: usize): void {
  for (let d: usize = 0; d < length; d += 16) v128.store(o + d, f32x4.mul(v128.load(o + d), factor));
}

/** o [4][D] += scoresᵀ [4][n] · values [n][D] */
export function decodeValues(v: usize, ld: usize, n: i32, scratch: usize, D: i32): void {
  const scores = scratch + SCORES, end = scores + bytes(n * 4), step = outputStep(D);
  const o0 = scratch + OUTPUT, o1 = o0 + step, o2 = o1 + step, o3 = o2 + step;
  const length = bytes(D);
  let d: usize = 0;
  for (; d + 32 <= length; d += 32) {
    let a0 = v128.load(o0 + d), b0 = v128.load(o0 + d, 16), a1 = v128.load(o1 + d), b1 = v128.load(o1 + d, 16);
    let a2 = v128.load(o2 + d), b2 = v128.load(o2 + d, 16), a3 = v128.load(o3 + d), b3 = v128.load(o3 + d, 16);
    let row = v + d;
    for (let at = scores; at < end; at += 16) {
      const left = v128.load(row), right = v128.load(row, 16);
      let x = v128.load32_splat(at);
      a0 = fma(x, left, a0);
      b0 = fma(x, right, b0);
      x = v128.load32_splat(at, 4);
      a1 = fma(x, left, a1);
      b1 = fma(x, right, b1);
      x = v128.load32_splat(at, 8);
      a2 = fma(x, left, a2);
      b2 = fma(x, right, b2);
      x = v128.load32_splat(at, 12);
      a3 = fma(x, left, a3);
      b3 = fma(x, right, b3);
      row += ld;
    }
    v128.store(o0 + d, a0);
    v128.store(o0 + d, b0, 16);
    v128.store(o1 + d, a1);
    v128.store(o1 + d, b1, 16);
    v128.store(o2 + d, a2);
    v128.store(o2 + d, b2, 16);
    v128.store(o3 + d, a3);
    v128.store(o3 + d, b3, 16);
  }
  // The columns that are left, one at a time, a query a lane.
  for (; d < length; d += 4) {
    let sum = f32x4.splat(0), row = v + d;
    for (let at = scores; at < end; at += 16) {
      sum = fma(v128.load(at), v128.load32_splat(row), sum);
      row += ld;
    }
    store<f32>(o0 + d, load<f32>(o0 + d) + f32x4.extract_lane(sum, 0));
    store<f32>(o1 + d, load<f32>(o1 + d) + f32x4.extract_lane(sum, 1));
    store<f32>(o2 + d, load<f32>(o2 + d) + f32x4.extract_lane(sum, 2));
    store<f32>(o3 + d, load<f32>(o3 + d) + f32x4.extract_lane(sum, 3));
  }
}
