// Attention over a packed batch, forward. Keys and values are packed once for all queries; a task then takes one query
// head and a block of a segment's queries, and goes over the keys that they see block by block with a running maximum
// and sum (online softmax: arXiv 1805.02867; in blocks: FlashAttention, arXiv 2205.14135). Segments of few queries, as
// in decoding, read keys and values where they lie (attentionDecode.ts).

import { FEW, decodeQuery } from './attentionDecode';
import { ALL, HEADS, HEAD_DIM, K, KEY_BLOCK, KEY_CAPACITY, KEY_ROWS, KEY_STEP, KV_HEADS, LN2, LOG2E, OWN, Q, QUERY_BLOCK, SCALE,
  SCRATCH, SCRATCH_BYTES, SEGMENT_COUNT, V, bytes, columnPanel, dotKeys, exp2Low, keyEnd, keyLength, keyStart,
  packKeyColumns, panelsOf, prefixLength, prefixStart, queryLength, queryStart, segmentAt, storePanel,
  sumKeys } from './attentionParts';
import { log4 } from './math';
import { packA, packPanels } from './pack';
import { addressAt, floatAt, fma, intAt, nextTask } from './record';
import { MR, NR } from './tileSize';

// @ts-ignore: compile-time constants
@inline const OUT: usize = OWN;
// @ts-ignore
@inline const LSE: usize = OWN + 1;
/** k as row panels [kvHeads][capacity/MR][D][MR]. */
// @ts-ignore
@inline const PACKED_K: usize = OWN + 2;
/** v as column panels [kvHeads][D/MR][capacity][MR]. */
// @ts-ignore
@inline const PACKED_V: usize = OWN + 3;

@inline function packedK(p: usize, g: i32): usize {
  const rows = panelsOf(intAt(p, KEY_CAPACITY), MR) * MR;
  return addressAt(p, PACKED_K) + <usize>g * bytes(rows * intAt(p, HEAD_DIM));
}
@inline function packedV(p: usize, g: i32): usize {
  return addressAt(p, PACKED_V) + <usize>(g * panelsOf(intAt(p, HEAD_DIM), MR)) * columnPanel(p);
}

/** Whether a segment that works on packed keys reads any row of [start, end). */
function isPacked(p: usize, start: i32, end: i32): bool {
  for (let s = 0; s < intAt(p, SEGMENT_COUNT); s++) {
    const t = segmentAt(p, s);
    if (queryLength(t) <= FEW) continue;
    if (keyStart(t) < end && keyStart(t) + keyLength(t) > start) return true;
    if (prefixStart(t) < end && prefixStart(t) + prefixLength(t) > start) return true;
  }
  return false;
}

/** Tasks: kv head × block of key rows. */
export function attentionPack(p: usize, thread: i32, threads: i32): void {
  const kvHeads = intAt(p, KV_HEADS), D = intAt(p, HEAD_DIM), keyRows = intAt(p, KEY_ROWS);
  const ld = bytes(kvHeads * D), tasks = kvHeads * panelsOf(keyRows, KEY_BLOCK);
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const g = task % kvHeads, start = (task / kvHeads) * KEY_BLOCK, rows = min(KEY_BLOCK, keyRows - start);
    if (!isPacked(p, start, start + rows)) continue;
    const from = <usize>start * ld + bytes(g * D);
    packA(addressAt(p, K) + from, ld, false, rows, D, packedK(p, g) + bytes(start * D));
    packKeyColumns(addressAt(p, V) + from, ld, start, rows, intAt(p, KEY_CAPACITY), D, packedV(p, g));
  }
}

/** Tasks: head × block of queries, the last ones of a segment first since they see most keys. */
export function attention(p: usize, thread: i32, threads: i32): void {
  const heads = intAt(p, HEADS), scratch = addressAt(p, SCRATCH) + <usize>thread * intAt(p, SCRATCH_BYTES);
  let task = nextTask(p), at = 0;
  for (let s = intAt(p, SEGMENT_COUNT) - 1; s >= 0; s--) {
    const t = segmentAt(p, s), queries = queryLength(t);
    if (queries <= FEW) {
      for (let n = 0; n < queries * heads; n++) {
        if (at++ != task) continue;
        decodeQuery(p, t, n / heads, n % heads, addressAt(p, OUT), addressAt(p, LSE), scratch);
        task = nextTask(p);
      }
    } else {
      for (let i = (queries - 1) / QUERY_BLOCK * QUERY_BLOCK; i >= 0; i -= QUERY_BLOCK) {
        for (let h = 0; h < heads; h++) {
          if (at++ != task) continue;
          attendBlock(p, t, h, i, min(QUERY_BLOCK, queries - i), scratch);
          task = nextTask(p);
        }
      }
    }
  }
}

// A thread's scratch: for each panel of 8 queries qᵀ [D][8], the running oᵀ [D rounded up][8], maximum and sum [2][8];
// then the scores of one panel [KEY_BLOCK][8].
@inline function queriesAt(scratch: usize, D: i32, x: i32): usize { return scratch + bytes(x * D * NR); }
@inline function outputAt(scratch: usize, D: i32, x: i32): usize {
  return queriesAt(scratch, D, QUERY_BLOCK / NR) + bytes(x * panelsOf(D, MR) * MR * NR);
}
@inline function stateAt(scratch: usize, D: i32, x: i32): usize {
  return outputAt(scratch, D, QUERY_BLOCK / NR) + bytes(x * 2 * NR);
}
@inline function scoresAt(scratch: usize, D: i32): usize { return stateAt(scratch, D, QUERY_BLOCK / NR); }

/** Out and lse of queries i … i + n of a segment, head h. */
function attendBlock(p: usize, t: usize, h: i32, i: i32, n: i32, scratch: usize): void {
  const heads = intAt(p, HEADS), D = intAt(p, HEAD_DIM), g = h / (heads / intAt(p, KV_HEADS));
  const row = queryStart(t) + i, ld = bytes(heads * D), at = <usize>row * ld + bytes(h * D);
  packPanels(addressAt(p, Q) + at, ld, true, n, D, scratch);
  const output = outputAt(scratch, D, 0);
  memory.fill(output, 0, stateAt(scratch, D, 0) - output);
  for (let x = 0; x < panelsOf(n, NR); x++) startSoftmax(stateAt(scratch, D, x));
  const end = prefixStart(t) + prefixLength(t);
  attendKeys(p, g, prefixStart(t), end, ALL, n, scratch);
  const own = keyEnd(t) + i;
  attendKeys(p, g, keyStart(t), min(keyStart(t) + keyLength(t), own + n - 1), own, n, scratch);
  for (let x = 0; x * NR < n; x++) {
    const lse = addressAt(p, LSE) + bytes((row + x * NR) * heads + h), rows = min(NR, n - x * NR);
    finishSoftmax(stateAt(scratch, D, x), lse, bytes(heads), rows);
    const to = addressAt(p, OUT) + at + <usize>(x * NR) * ld;
    storePanel(outputAt(scratch, D, x), stateAt(scratch, D, x), to, ld, rows, D);
  }
}

/** The block's n queries meet keys [start, end) of kv head g; query r sees those before row `see` + r. */
function attendKeys(p: usize, g: i32, start: i32, end: i32, see: i32, n: i32, scratch: usize): void {
  const D = intAt(p, HEAD_DIM), scale = floatAt(p, SCALE) * LOG2E, scores = scoresAt(scratch, D);
  const keys = packedK(p, g), values = packedV(p, g), apart = columnPanel(p);
  for (let block = start / KEY_STEP * KEY_STEP; block < end; block += KEY_BLOCK) {
    const from = max(start, block), first = from / MR * MR, seen = scores + bytes((from - first) * NR);
    for (let x = 0; x * NR < n; x++) {
      const r = x * NR, to = min(min(end, block + KEY_BLOCK), see + min(r + NR, n) - 1);
      if (to <= from) continue;
      const output = outputAt(scratch, D, x);
      dotKeys(keys + bytes(first * D), panelsOf(to - first, MR), queriesAt(scratch, D, x), scores, NR << 2, D);
      onlineSoftmax(seen, to - from, see + r - from, scale, stateAt(scratch, D, x), output, D);
      sumKeys(values + bytes(from * MR), apart, seen, NR << 2, output, to - from, D, output);
    }
  }
}

/** State of 8 queries: the maximum of scale · score [8], the sum of 2^(scale · score − maximum) [8]. */
function startSoftmax(state: usize): void {
  v128.store(state, f32x4.splat(-f32.MAX_VALUE));
  v128.store(state, f32x4.splat(-f32.MAX_VALUE), 16);
  v128.store(state, f32x4.splat(0), 32);
  v128.store(state, f32x4.splat(0), 48);
}

/** Scores [n][8] become 2^(scale · score − maximum), and state and output move to the new maximum. Query r sees the
 *  first `see` + r of the keys; the others get 0. */
export function onlineSoftmax(scores: usize, n: i32, see: i32, scale: f32, state: usize, output: usize, D: i32): void {
  const end = scores + bytes(n * NR);
  for (let j = max(see, 0); j < n; j++) hideKey(scores + bytes(j * NR), j - see);
  let max0 = f32x4.splat(-Infinity), max1 = max0;
  for (let at = scores; at < end; at += NR << 2) {
    max0 = f32x4.pmax(max0, v128.load(at));
    max1 = f32x4.pmax(max1, v128.load(at, 16));
  }
  const factor = f32x4.splat(scale), before0 = v128.load(state), before1 = v128.load(state, 16);
  max0 = f32x4.pmax(before0, f32x4.mul(max0, factor));
  max1 = f32x4.pmax(before1, f32x4.mul(max1, factor));
  let sum0 = v128.load(state, 32), sum1 = v128.load(state, 48);
  if (v128.any_true(v128.or(f32x4.ne(max0, before0), f32x4.ne(max1, before1)))) {
    const shrink0 = exp2Low(f32x4.sub(before0, max0)), shrink1 = exp2Low(f32x4.sub(before1, max1));
    sum0 = f32x4.mul(sum0, shrink0);
    sum1 = f32x4.mul(sum1, shrink1);
    for (let at = output, last = output + bytes(D * NR); at < last; at += NR << 2) {
      v128.store(at, f32x4.mul(v128.load(at), shrink0));
      v128.store(at, f32x4.mul(v128.load(at, 16), shrink1), 16);
    }
    v128.store(state, max0);
    v128.store(state, max1, 16);
  }
  const low0 = f32x4.neg(max0), low1 = f32x4.neg(max1);
  for (let at = scores; at < end; at += NR << 2) {
    const p0 = exp2Low(fma(v128.load(at), factor, low0));
    const p1 = exp2Low(fma(v128.load(at, 16), factor, low1));
    v128.store(at, p0);
    v128.store(at, p1, 16);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
  }
  v128.store(state, sum0, 32);
  v128.store(state, sum1, 48);
}

/** A key's scores, −∞ for queries 0 … last. */
function hideKey(scores: usize, last: i32): void {
  const hidden = f32x4.splat(-Infinity), r = i32x4.splat(last);
  v128.store(scores, v128.bitselect(hidden, v128.load(scores), i32x4.le_s(i32x4(0, 1, 2, 3), r)));
  v128.store(scores, v128.bitselect(hidden, v128.load(scores, 16), i32x4.le_s(i32x4(4, 5, 6, 7), r)), 16);
}

/** lse = ln 2 · maximum + ln sum, for `rows` queries `step` bytes apart; the maxima become 1 / sum, or 0 where no key
 *  is seen. */
function finishSoftmax(state: usize, lse: usize, step: usize, rows: i32): void {
  for (let half: usize = 0; half < 32; half += 16) {
    const sum = v128.load(state + half, 32), total = fma(v128.load(state + half), f32x4.splat(LN2), log4(sum));
    const inverse = f32x4.div(f32x4.splat(1), sum);
    v128.store(state + half, v128.and(inverse, f32x4.gt(sum, f32x4.splat(0))));
    v128.store(state + half, total, 32);
  }
  for (let r = 0; r < rows; r++) {
    store<f32>(lse, load<f32>(state + bytes(r), 32));
    lse += step;
  }
}
