// Attention's gradient with the probabilities computed again from lse (FlashAttention-2, arXiv 2307.08691), by five
// products: S = K·Qᵀ, dP = V·dOᵀ, dV += P·dO, dK += dS·Q, dQ += dSᵀ·K. A task owns one kv head's keys of a chunk, which
// is every C-th block of key rows: dK and dV are summed by one thread, over all segments that see them, in the table's
// order. dQ is summed within the chunk, and over the chunks by a last call. So no number depends on the threads, and
// S and dP are computed once.

import { CHUNKS, DK, DQ, DV, D_OUT_COLUMNS, D_OUT_ROWS, K_ROWS, Q_COLUMNS, Q_ROWS, V_ROWS, dqPart, keyColumnPanels,
  keyRowPanels, queryColumnPanels, queryColumnStep, queryRowPanel, statsAt } from './attentionGradPack';
import { ROW, sumPanels } from './attentionGradTile';
import { ALL, HEADS, HEAD_DIM, KEY_BLOCK, KEY_ROWS, KV_HEADS, LOG2E, QUERY_BLOCK, SCALE, SCRATCH, SCRATCH_BYTES,
  SEGMENT_COUNT, bytes, columnPanel, dotKeys, exp2Low, keyEnd, keyLength, keyStart, panelsOf, prefixLength, prefixStart,
  queryLength, queryStart, segmentAt, storePanel, sumKeys } from './attentionParts';
import { addressAt, floatAt, fma, intAt, nextTask } from './record';
import { MR, NR } from './tileSize';

export { attentionGradPack } from './attentionGradPack';
// Exported, so that it is not inlined into the loop around it, where V8 no longer keeps all sums in registers.
export { addTile } from './attentionGradTile';

// @ts-ignore
@inline const NONE: i32 = 0x7fffffff;

/** The first block ≡ chunk (mod chunks) that holds a key of [start, end), or NONE. */
function firstBlock(start: i32, end: i32, chunk: i32, chunks: i32): i32 {
  if (end <= start) return NONE;
  const low = start / KEY_BLOCK, block = low + (chunk - low % chunks + chunks) % chunks;
  return block * KEY_BLOCK < end ? block : NONE;
}
/** As firstBlock, for the keys of the prefix, and for the own ones before row `end`. */
@inline function firstPrefixBlock(p: usize, t: usize, chunk: i32): i32 {
  return firstBlock(prefixStart(t), prefixStart(t) + prefixLength(t), chunk, intAt(p, CHUNKS));
}
@inline function firstOwnBlock(p: usize, t: usize, end: i32, chunk: i32): i32 {
  return firstBlock(keyStart(t), min(end, keyStart(t) + keyLength(t)), chunk, intAt(p, CHUNKS));
}

/** Second call: dK, dV and each chunk's dQ. Tasks: chunk × kv head, the first ones being the largest in a causal
 *  batch. */
export function attentionGradKeys(p: usize, thread: i32, threads: i32): void {
  const kvHeads = intAt(p, KV_HEADS), chunks = intAt(p, CHUNKS), blocks = panelsOf(intAt(p, KEY_ROWS), KEY_BLOCK);
  const scratch = addressAt(p, SCRATCH) + <usize>thread * intAt(p, SCRATCH_BYTES);
  const tasks = min(chunks, blocks) * kvHeads;
  for (let task = nextTask(p); task < tasks; task = nextTask(p))
    for (let block = task / kvHeads; block < blocks; block += chunks) gradBlock(p, task % kvHeads, block, scratch);
}

// A thread's scratch: P and dS [KEY_BLOCK][QUERY_BLOCK], dK and dV [KEY_BLOCK][D rounded up to 8].
// @ts-ignore
@inline const D_SCORES: usize = <usize>KEY_BLOCK * ROW;
@inline function dKeyAt(scratch: usize): usize { return scratch + 2 * D_SCORES; }
@inline function keyGradStep(D: i32): usize { return bytes(panelsOf(D, NR) * NR); }
@inline function dValueAt(scratch: usize, D: i32): usize { return dKeyAt(scratch) + <usize>KEY_BLOCK * keyGradStep(D); }

/** dK and dV of a block of key rows, over all segments that see some of them. */
function gradBlock(p: usize, g: i32, block: i32, scratch: usize): void {
  const D = intAt(p, HEAD_DIM), step = keyGradStep(D);
  const low = block * KEY_BLOCK, high = min(low + KEY_BLOCK, intAt(p, KEY_ROWS));
  memory.fill(dKeyAt(scratch), 0, 2 * <usize>KEY_BLOCK * step);
  let panel = 0;
  for (let s = 0; s < intAt(p, SEGMENT_COUNT); s++) {
    const t = segmentAt(p, s), prefix = prefixStart(t), own = keyStart(t);
    gradKeys(p, t, g, block, panel, max(prefix, low), min(prefix + prefixLength(t), high), ALL, scratch);
    gradKeys(p, t, g, block, panel, max(own, low), min(own + keyLength(t), high), keyEnd(t), scratch);
    panel += panelsOf(queryLength(t), NR);
  }
  const ld = bytes(intAt(p, KV_HEADS) * D), at = <usize>low * ld + bytes(g * D);
  storeRows(dKeyAt(scratch), step, floatAt(p, SCALE), addressAt(p, DK) + at, ld, high - low, D);
  storeRows(dValueAt(scratch, D), step, 1, addressAt(p, DV) + at, ld, high - low, D);
}

/** to [n, D] = factor · rows */
function storeRows(rows: usize, step: usize, factor: f32, to: usize, ld: usize, n: i32, D: i32): void {
  const end = bytes(D), whole = end & ~15;
  for (; n > 0; n--) {
    let d: usize = 0;
    for (; d < whole; d += 16) v128.store(to + d, f32x4.mul(v128.load(rows + d), f32x4.splat(factor)));
    for (; d < end; d += 4) store<f32>(to + d, load<f32>(rows + d) * factor);
    rows += step;
    to += ld;
  }
}

/** A segment's queries (its first panel is `panel`) meet keys [start, end) of the block; query i sees those before
 *  row `see` + i. */
function gradKeys(p: usize, t: usize, g: i32, block: i32, panel: i32, start: i32, end: i32, see: i32,
  scratch: usize): void {
  if (end <= start) return;
  const group = intAt(p, HEADS) / intAt(p, KV_HEADS), queries = queryLength(t);
  const first = max(start - see + 1, 0) & -NR;
  for (let h = g * group; h < (g + 1) * group; h++)
    for (let i = first; i < queries; i += QUERY_BLOCK) {
      const n = min(QUERY_BLOCK, queries - i), x = panel + i / NR;
      gradScoresOfBlock(p, t, g, h, block, x, i, n, start, end, see, scratch);
      sumQueries(p, h, block, x, n, start, end, see + i, scratch);
    }
}

/** P and dS of queries i … i + n (panels from `panel` on) and keys [start, end) of the block, and their share of dQ. */
function gradScoresOfBlock(p: usize, t: usize, g: i32, h: i32, block: i32, panel: i32, i: i32, n: i32, start: i32,
  end: i32, see: i32, scratch: usize): void {
  const D = intAt(p, HEAD_DIM), chunk = block % intAt(p, CHUNKS), low = block * KEY_BLOCK;
  const first = start / MR * MR, top = <usize>(first - low) * ROW;
  const k = keyRowPanels(p, K_ROWS, g) + bytes(first * D), v = keyRowPanels(p, V_ROWS, g) + bytes(first * D);
  const columns = keyColumnPanels(p, g) + bytes(start * MR), prefixBlock = firstPrefixBlock(p, t, chunk);
  for (let r = 0; r < n; r += NR) {
    const seen = see + i + min(r + NR, n) - 1, to = min(end, seen), x = panel + r / NR;
    if (to <= start) continue;
    const panels = panelsOf(to - first, MR), scores = scratch + top + bytes(r), dScores = scores + D_SCORES;
    dotKeys(k, panels, queryRowPanel(p, Q_ROWS, h, x), scores, ROW, D);
    dotKeys(v, panels, queryRowPanel(p, D_OUT_ROWS, h, x), dScores, ROW, D);
    const from = start - first, rows = panels * MR;
    gradScores(scores, from, to - first, rows, see + i + r - first, floatAt(p, SCALE), statsAt(p, h, x));
    // The chunk's first keys that these queries see start the sum.
    const ownBlock = firstOwnBlock(p, t, keyEnd(t) + i + min(r + NR, n) - 1, chunk);
    const isFirst = see == ALL ? block == prefixBlock && block <= ownBlock : block == ownBlock && block < prefixBlock;
    const dq = dqPart(p, chunk, h, x);
    sumKeys(columns, columnPanel(p), dScores + <usize>from * ROW, ROW, dq, to - start, D, isFirst ? 0 : dq);
  }
}

/** Scores and dP [rows][8], ROW bytes apart, become P = exp(scale · score − lse) and dS = P · (dP − delta), for keys
 *  [start, end) of the rows; the rows around them, and keys that a query does not see (j ≥ see + r), become 0. */
export function gradScores(scores: usize, start: i32, end: i32, rows: i32, see: i32, scale: f32, stats: usize): void {
  const factor = f32x4.splat(scale * LOG2E), lse0 = v128.load(stats), lse1 = v128.load(stats, 16);
  const delta0 = v128.load(stats, 32), delta1 = v128.load(stats, 48);
  for (let j = 0; j < start; j++) clearKey(scores + <usize>j * ROW, -1);
  for (let j = end; j < rows; j++) clearKey(scores + <usize>j * ROW, -1);
  const last = scores + <usize>end * ROW;
  for (let at = scores + <usize>start * ROW; at < last; at += ROW) {
    const d = at + D_SCORES;
    const p0 = exp2Low(fma(v128.load(at), factor, lse0));
    const p1 = exp2Low(fma(v128.load(at, 16), factor, lse1));
    v128.store(at, p0);
    v128.store(at, p1, 16);
    v128.store(d, f32x4.mul(p0, f32x4.sub(v128.load(d), delta0)));
    v128.store(d, f32x4.mul(p1, f32x4.sub(v128.load(d, 16), delta1)), 16);
  }
  for (let j = max(start, see); j < end; j++) clearKey(scores + <usize>j * ROW, j - see);
}

/** A key's P and dS, 0 for queries 0 … last; −1: for all. */
function clearKey(at: usize, last: i32): void {
  const r = i32x4.splat(last < 0 ? NR : last);
  const keep0 = i32x4.gt_s(i32x4(0, 1, 2, 3), r), keep1 = i32x4.gt_s(i32x4(4, 5, 6, 7), r), d = at + D_SCORES;
  v128.store(at, v128.and(v128.load(at), keep0));
  v128.store(at, v128.and(v128.load(at, 16), keep1), 16);
  v128.store(d, v128.and(v128.load(d), keep0));
  v128.store(d, v128.and(v128.load(d, 16), keep1), 16);
}

/** dV += P · dO and dK += dS · Q, over n queries from `panel` on; query r sees keys before row `see` + r. */
function sumQueries(p: usize, h: i32, block: i32, panel: i32, n: i32, start: i32, end: i32, see: i32,
  scratch: usize): void {
  const D = intAt(p, HEAD_DIM), low = block * KEY_BLOCK, step = keyGradStep(D), apart = queryColumnStep(p);
  const dOut = queryColumnPanels(p, D_OUT_COLUMNS, h, panel), q = queryColumnPanels(p, Q_COLUMNS, h, panel);
  const dKey = dKeyAt(scratch), dValue = dValueAt(scratch, D), padded = panelsOf(n, NR) * NR;
  for (let key = start / MR * MR; key < end; key += MR) {
    // Queries before the first panel that sees one of these keys have no scores here.
    const first = max(max(start, key) - see + 1, 0);
    if (first >= n) break;
    const r = first & -NR, row = <usize>(key - low), at = scratch + row * ROW + bytes(r);
    sumPanels(at, dOut + bytes(r * NR), apart, dValue + row * step, step, padded - r, D);
    sumPanels(at + D_SCORES, q + bytes(r * NR), apart, dKey + row * step, step, padded - r, D);
  }
}

/** Third call: dq = scale · Σ over chunks. Tasks: head × block of queries. */
export function attentionGradQueries(p: usize, thread: i32, threads: i32): void {
  const heads = intAt(p, HEADS), scratch = addressAt(p, SCRATCH) + <usize>thread * intAt(p, SCRATCH_BYTES);
  let task = nextTask(p), at = 0, panel = 0;
  for (let s = 0; s < intAt(p, SEGMENT_COUNT); s++) {
    const t = segmentAt(p, s), queries = queryLength(t);
    for (let i = 0; i < queries; i += QUERY_BLOCK) {
      for (let h = 0; h < heads; h++) {
        if (at++ != task) continue;
        for (let r = i; r < min(i + QUERY_BLOCK, queries); r += NR) storeQueries(p, t, h, r, panel + r / NR, scratch);
        task = nextTask(p);
      }
    }
    panel += panelsOf(queries, NR);
  }
}

/** dq of a panel, the queries from i on. */
function storeQueries(p: usize, t: usize, h: i32, i: i32, panel: i32, scratch: usize): void {
  const heads = intAt(p, HEADS), D = intAt(p, HEAD_DIM), rows = min(NR, queryLength(t) - i);
  const sum = scratch + (NR << 2), length = bytes(D * NR), factor = f32x4.splat(floatAt(p, SCALE));
  v128.store(scratch, factor);
  v128.store(scratch, factor, 16);
  memory.fill(sum, 0, length);
  for (let chunk = 0; chunk < intAt(p, CHUNKS); chunk++) {
    const own = firstOwnBlock(p, t, keyEnd(t) + i + rows - 1, chunk);
    if (min(own, firstPrefixBlock(p, t, chunk)) != NONE) addTo(sum, dqPart(p, chunk, h, panel), length);
  }
  const row = queryStart(t) + i, ld = bytes(heads * D);
  storePanel(sum, scratch, addressAt(p, DQ) + <usize>row * ld + bytes(h * D), ld, rows, D);
}

export function addTo(sum: usize, part: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) v128.store(sum + i, f32x4.add(v128.load(sum + i), v128.load(part + i)));
}
