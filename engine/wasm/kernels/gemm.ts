// C[M, N] = A[M, K] · B[K, N] (+ bias) (+ accumulate), after Goto and van de Geijn (ACM TOMS 34, 2008): B packed into
// panels by all threads, a block of A packed by the thread that multiplies it, both read by the register tile in
// order. Each element of C is summed over k in one order, whatever the tiles, threads and tasks.

import { storeEdge, tile } from './micro';
import { packA, packPanels } from './pack';
import { addressAt, intAt, nextTask } from './record';
import { KC, MC, MR, NR } from './tileSize';

/** A thread's scratch is one tile [MR, NR] for C's edges, padded to 256 bytes, and then the packed block of A. */
// @ts-ignore: a compile-time constant
@inline const EDGE: usize = 256;

/** Columns rounded up to whole panels. */
@inline export function padded(n: i32): i32 { return (n + NR - 1) & -NR; }

/** Length of the blocks of k: even ones, none longer than KC. Nothing but K decides it, since sums depend on it. */
export function kBlock(K: i32): i32 {
  const blocks = (K + KC - 1) / KC;
  return blocks < 2 ? K : ((K + blocks - 1) / blocks + 3) & -4;
}

/** c[m, n] = init + A · B for packed A (m rows, k) and panels of B that lie `bPanel` bytes apart, rows `bStep`. */
export function multiplyPanels(a: usize, b: usize, bPanel: usize, bStep: usize, c: usize, ldc: usize, m: i32, n: i32,
  k: i32, init: usize, ldi: usize, edge: usize): void {
  const aPanel = <usize>(k * MR) << 2;
  for (let j = 0; j < n; j += NR) {
    let at = a, to = c, from = init;
    for (let i = 0; i < m; i += MR) {
      if (i + MR <= m && j + NR <= n) tile(at, b, bStep, to, ldc, k, from, ldi);
      else {
        tile(at, b, bStep, edge, NR << 2, k, 0, 0);
        storeEdge(edge, to, ldc, min(MR, m - i), min(NR, n - j), from, ldi);
      }
      at += aPanel;
      to += <usize>MR * ldc;
      if (from) from += <usize>MR * ldi;
    }
    b += bPanel;
    c += NR << 2;
    if (init) init += NR << 2;
  }
}

/**
 * c[m, n] = init + A · B[:, j0 : j0 + n] over all of K; m ≤ MC. A: rows [m][lda], or columns [K][lda] where
 * `transposed`. B: panels of a matrix of `width` padded columns, as packB lays them, where ldb = 0; else rows
 * [K][ldb] as they are (then n must be a multiple of NR). `init` may be c itself. Strides are in bytes.
 */
export function gemmBlock(a: usize, lda: usize, transposed: bool, b: usize, ldb: usize, width: i32, j0: i32, c: usize,
  ldc: usize, m: i32, n: i32, K: i32, init: usize, ldi: usize, scratch: usize): void {
  const kc = kBlock(K), packed = scratch + EDGE;
  let k0 = 0;
  do {
    const k = min(kc, K - k0);
    packA(a, lda, transposed, m, k, packed);
    if (ldb) multiplyPanels(packed, b + (<usize>j0 << 2), NR << 2, ldb, c, ldc, m, n, k, init, ldi, scratch);
    else {
      const columns = b + (<usize>j0 * k << 2);
      multiplyPanels(packed, columns, <usize>(k * NR) << 2, NR << 2, c, ldc, m, n, k, init, ldi, scratch);
    }
    a += transposed ? <usize>k * lda : <usize>k << 2;
    b += <usize>k * (ldb ? ldb : <usize>width << 2);
    init = c;
    ldi = ldc;
    k0 += kc;
  } while (k0 < K);
}

/** c[m, n] += bias[n] in each row. */
export function addBias(c: usize, ldc: usize, m: i32, n: i32, bias: usize): void {
  const bytes = <usize>n << 2, whole = bytes & ~15;
  for (let i = 0; i < m; i++) {
    let j: usize = 0;
    for (; j < whole; j += 16) v128.store(c + j, f32x4.add(v128.load(c + j), v128.load(bias + j)));
    for (; j < bytes; j += 4) store<f32>(c + j, load<f32>(c + j) + load<f32>(bias + j));
    c += ldc;
  }
}

/**
 * Packs columns of B for gemm: for each block of k the panels [k][NR] of all columns, padded with zeros.
 * Fields: 1 b · 2 packed · 3 K · 4 columns · 5 ldb · 6 B is given as [N, K] · 7 M (nothing is packed for no rows)
 */
export function packB(p: usize, thread: i32, threads: i32): void {
  const b = addressAt(p, 1), packed = addressAt(p, 2), K = intAt(p, 3), n = intAt(p, 4);
  const ldb = addressAt(p, 5), transposed = intAt(p, 6) != 0;
  if (intAt(p, 7) == 0 || K == 0) return;
  const kc = kBlock(K), width = padded(n);
  // A task is one block of k by up to 64 columns.
  const strips = (n + 63) / 64, tasks = strips * ((K + kc - 1) / kc);
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const k0 = task / strips * kc, j0 = task % strips * 64;
    const k = min(kc, K - k0);
    const from = transposed ? b + <usize>j0 * ldb + (<usize>k0 << 2) : b + <usize>k0 * ldb + (<usize>j0 << 2);
    packPanels(from, ldb, transposed, min(64, n - j0), k, packed + ((<usize>k0 * width + <usize>j0 * k) << 2));
  }
}

/** Blocks of rows of gemm's tasks: at most MC rows each, and a multiple of the threads, which then end together. */
@inline function rowBlocks(M: i32, threads: i32): i32 {
  const most = threads > 1 ? MC / 2 : MC, blocks = (M + most - 1) / most, even = threads > 1 ? (blocks + threads - 1) / threads * threads : blocks;
  // At least 4 register tiles each, since every block reads all of B.
  return max(blocks, min(even, M / (4 * MR)));
}

/** Strips of columns: more than one where the blocks of rows are too few for the threads; at least 4 tiles each. */
@inline function columnStrips(N: i32, blocks: i32, threads: i32): i32 {
  if (threads == 1 || blocks >= 2 * threads) return 1;
  return max(1, min((2 * threads + blocks - 1) / blocks, N / (4 * NR)));
}

/** Where a part of the tiles begins. The longer parts come first: threads that take them in turn get equally many. */
@inline function firstTile(tiles: i32, part: i32, parts: i32): i32 {
  return tiles / parts * part + min(part, tiles % parts);
}

/**
 * C = A · B for B packed by packB, or small as it lies.
 * Fields: 1 a · 2 lda · 3 A is given as [K, M] · 4 b · 5 ldb, or 0 where b is packed · 6 c · 7 ldc ·
 * 8 accumulate [M, N] or 0, like c (may be c) · 9 bias [N] or 0 · 10 M · 11 N · 12 K · 13 scratch ·
 * 14 bytes of scratch of each thread. Strides are in bytes.
 */
export function gemm(p: usize, thread: i32, threads: i32): void {
  const a = addressAt(p, 1), lda = addressAt(p, 2), transposed = intAt(p, 3) != 0;
  const b = addressAt(p, 4), ldb = addressAt(p, 5), c = addressAt(p, 6), ldc = addressAt(p, 7);
  const base = addressAt(p, 8), bias = addressAt(p, 9);
  const M = intAt(p, 10), N = intAt(p, 11), K = intAt(p, 12);
  const scratch = addressAt(p, 13) + <usize>thread * addressAt(p, 14);
  if (M == 0) return;
  const width = padded(N), tileRows = (M + MR - 1) / MR, tileColumns = width / NR;
  const blocks = rowBlocks(M, threads), strips = columnStrips(N, blocks, threads), tasks = blocks * strips;
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const block = task / strips, strip = task % strips;
    const i0 = firstTile(tileRows, block, blocks) * MR, m = min(M, firstTile(tileRows, block + 1, blocks) * MR) - i0;
    const j0 = firstTile(tileColumns, strip, strips) * NR;
    const n = min(N, firstTile(tileColumns, strip + 1, strips) * NR) - j0;
    const from = transposed ? a + (<usize>i0 << 2) : a + <usize>i0 * lda;
    const at = <usize>i0 * ldc + (<usize>j0 << 2), biasAt = bias ? bias + (<usize>j0 << 2) : 0;
    const init = base ? base + at : biasAt;
    gemmBlock(from, lda, transposed, b, ldb, width, j0, c + at, ldc, m, n, K, init, base ? ldc : 0, scratch);
    if (base && bias) addBias(c + at, ldc, m, n, biasAt);
  }
}
