// First call of attention's gradient: keys, values, queries and dOut in the orders in which the products read them, and
// where all of that lies.

import { HEADS, HEAD_DIM, K, KEY_BLOCK, KEY_CAPACITY, KEY_ROWS, KV_HEADS, LOG2E, OWN, Q, QUERY_BLOCK, SEGMENT_COUNT, V,
  bytes, columnPanel, packKeyColumns, panelsOf, queryLength, queryStart, segmentAt } from './attentionParts';
import { packA, packColumns, packPanels } from './pack';
import { addressAt, fma, intAt, nextTask } from './record';
import { MR, NR } from './tileSize';

// @ts-ignore: compile-time constants
@inline export const OUT: usize = OWN;
// @ts-ignore
@inline export const LSE: usize = OWN + 1;
// @ts-ignore
@inline export const D_OUT: usize = OWN + 2;
// @ts-ignore
@inline export const DQ: usize = OWN + 3;
// @ts-ignore
@inline export const DK: usize = OWN + 4;
// @ts-ignore
@inline export const DV: usize = OWN + 5;
/** k and v as row panels [kvHeads][capacity/MR][D][MR], k as column panels [kvHeads][D/MR][capacity][MR]. */
// @ts-ignore
@inline export const K_ROWS: usize = OWN + 6;
// @ts-ignore
@inline export const V_ROWS: usize = OWN + 7;
// @ts-ignore
@inline export const K_COLUMNS: usize = OWN + 8;
/** q and dOut transposed [heads][panels][D][8] and as column panels [heads][D/8][panels · 8][8]. Panels of 8 queries
 *  start anew with each segment; zeros fill a segment's last one. */
// @ts-ignore
@inline export const Q_ROWS: usize = OWN + 9;
// @ts-ignore
@inline export const D_OUT_ROWS: usize = OWN + 10;
// @ts-ignore
@inline export const Q_COLUMNS: usize = OWN + 11;
// @ts-ignore
@inline export const D_OUT_COLUMNS: usize = OWN + 12;
/** −lse / ln 2 and Σ dOut · out of a panel's queries, [heads][panels][2][8]. */
// @ts-ignore
@inline export const STATS: usize = OWN + 13;
/** dqᵀ summed over a chunk's keys, [chunks][heads][panels][D rounded up to MR][8]. */
// @ts-ignore
@inline export const DQ_PARTS: usize = OWN + 14;
// @ts-ignore
@inline export const CHUNKS: usize = OWN + 15;
/** Capacity of query panels. */
// @ts-ignore
@inline export const PANELS: usize = OWN + 16;

@inline export function keyRowPanels(p: usize, field: usize, g: i32): usize {
  const rows = panelsOf(intAt(p, KEY_CAPACITY), MR) * MR;
  return addressAt(p, field) + <usize>g * bytes(rows * intAt(p, HEAD_DIM));
}
@inline export function keyColumnPanels(p: usize, g: i32): usize {
  return addressAt(p, K_COLUMNS) + <usize>(g * panelsOf(intAt(p, HEAD_DIM), MR)) * columnPanel(p);
}
@inline export function queryRowPanel(p: usize, field: usize, h: i32, panel: i32): usize {
  return addressAt(p, field) + <usize>(h * intAt(p, PANELS) + panel) * bytes(intAt(p, HEAD_DIM) * NR);
}
/** Row panel · 8 of the first column panel of head h. */
@inline export function queryColumnPanels(p: usize, field: usize, h: i32, panel: i32): usize {
  const first = h * panelsOf(intAt(p, HEAD_DIM), NR);
  return addressAt(p, field) + <usize>first * queryColumnStep(p) + bytes(panel * NR * NR);
}
@inline export function queryColumnStep(p: usize): usize { return bytes(intAt(p, PANELS) * NR * NR); }
@inline export function statsAt(p: usize, h: i32, panel: i32): usize {
  return addressAt(p, STATS) + bytes((h * intAt(p, PANELS) + panel) * 2 * NR);
}
@inline export function dqPart(p: usize, chunk: i32, h: i32, panel: i32): usize {
  return addressAt(p, DQ_PARTS) + <usize>((chunk * intAt(p, HEADS) + h) * intAt(p, PANELS) + panel) *
    bytes(panelsOf(intAt(p, HEAD_DIM), MR) * MR * NR);
}

/** Tasks: kv head × block of key rows, then head × block of queries. */
export function attentionGradPack(p: usize, thread: i32, threads: i32): void {
  const heads = intAt(p, HEADS), kvHeads = intAt(p, KV_HEADS);
  const keyTasks = kvHeads * panelsOf(intAt(p, KEY_ROWS), KEY_BLOCK);
  let task = nextTask(p), at = keyTasks, panel = 0;
  for (; task < keyTasks; task = nextTask(p)) packKeys(p, task % kvHeads, (task / kvHeads) * KEY_BLOCK);
  for (let s = 0; s < intAt(p, SEGMENT_COUNT); s++) {
    const t = segmentAt(p, s), queries = queryLength(t);
    for (let i = 0; i < queries; i += QUERY_BLOCK) {
      for (let h = 0; h < heads; h++) {
        if (at++ != task) continue;
        packQueries(p, h, queryStart(t) + i, min(QUERY_BLOCK, queries - i), panel + i / NR);
        task = nextTask(p);
      }
    }
    panel += panelsOf(queries, NR);
  }
}

function packKeys(p: usize, g: i32, start: i32): void {
  const D = intAt(p, HEAD_DIM), ld = bytes(intAt(p, KV_HEADS) * D), rows = min(KEY_BLOCK, intAt(p, KEY_ROWS) - start);
  const from = <usize>start * ld + bytes(g * D), k = addressAt(p, K) + from, v = addressAt(p, V) + from;
  packA(k, ld, false, rows, D, keyRowPanels(p, K_ROWS, g) + bytes(start * D));
  packA(v, ld, false, rows, D, keyRowPanels(p, V_ROWS, g) + bytes(start * D));
  packKeyColumns(k, ld, start, rows, intAt(p, KEY_CAPACITY), D, keyColumnPanels(p, g));
}

function packQueries(p: usize, h: i32, row: i32, n: i32, panel: i32): void {
  const heads = intAt(p, HEADS), D = intAt(p, HEAD_DIM), ld = bytes(heads * D), from = <usize>row * ld + bytes(h * D);
  const q = addressAt(p, Q) + from, dOut = addressAt(p, D_OUT) + from, out = addressAt(p, OUT) + from;
  packPanels(q, ld, true, n, D, queryRowPanel(p, Q_ROWS, h, panel));
  packPanels(dOut, ld, true, n, D, queryRowPanel(p, D_OUT_ROWS, h, panel));
  packQueryColumns(q, ld, n, D, queryColumnPanels(p, Q_COLUMNS, h, panel), queryColumnStep(p));
  packQueryColumns(dOut, ld, n, D, queryColumnPanels(p, D_OUT_COLUMNS, h, panel), queryColumnStep(p));
  const padded = panelsOf(n, NR) * NR;
  for (let i = 0; i < padded; i++) {
    const stats = statsAt(p, h, panel + i / NR) + bytes(i % NR), at = <usize>i * ld;
    store<f32>(stats, i < n ? -LOG2E * load<f32>(addressAt(p, LSE) + bytes((row + i) * heads + h)) : 0);
    store<f32>(stats, i < n ? dotRows(dOut + at, out + at, D) : 0, 32);
  }
}

/** to [D/8][… rows of 8], `apart` bytes from one another = source [n, D]; zeros fill the last panel of 8 rows. */
function packQueryColumns(source: usize, ld: usize, n: i32, D: i32, to: usize, apart: usize): void {
  const padded = panelsOf(n, NR) * NR;
  for (let d = 0; d < D; d += NR) {
    packColumns(source + bytes(d), ld, min(NR, D - d), n, to, NR);
    memory.fill(to + bytes(n * NR), 0, bytes((padded - n) * NR));
    to += apart;
  }
}

export function dotRows(a: usize, b: usize, n: i32): f32 {
  const end = bytes(n), whole = end & ~15;
  let sum = f32x4.splat(0), i: usize = 0;
  for (; i < whole; i += 16) sum = fma(v128.load(a + i), v128.load(b + i), sum);
  for (; i < end; i += 4) sum = fma(v128.load32_zero(a + i), v128.load32_zero(b + i), sum);
  return f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + f32x4.extract_lane(sum, 2) +
    f32x4.extract_lane(sum, 3);
}
