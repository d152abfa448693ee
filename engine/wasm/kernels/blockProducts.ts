// Products with a B in blocks: it is unpacked tile by tile, and what is multiplied is what gemm and gemvRows multiply.

import { unpackRow } from './blocks';
import { kBlock, padded } from './gemm';
import { dot, dot4 } from './gemv';
import { packPanels, packRows } from './pack';
import { addressAt, intAt, nextTask } from './record';
import { NR } from './tileSize';

/**
 * packB for B in blocks, which lie along its rows.
 * Fields: 1 b · 2 packed · 3 K · 4 columns · 5 bytes of a row · 6 B is given as [N, K] · 7 M (nothing is packed for no
 * rows) · 8 format · 9 first column, where B is given as [K, N] · 10 scratch · 11 bytes of scratch of each thread
 */
export function packBlocks(p: usize, thread: i32, threads: i32): void {
  const b = addressAt(p, 1), packed = addressAt(p, 2), K = intAt(p, 3), n = intAt(p, 4);
  const rowBytes = addressAt(p, 5), transposed = intAt(p, 6) != 0, format = intAt(p, 8), first = intAt(p, 9);
  const scratch = addressAt(p, 10) + <usize>thread * addressAt(p, 11);
  if (intAt(p, 7) == 0 || K == 0) return;
  const kc = kBlock(K), width = padded(n);
  // A task is one block of k by up to 64 columns.
  const strips = (n + 63) / 64, tasks = strips * ((K + kc - 1) / kc);
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const k0 = task / strips * kc, j0 = task % strips * 64, k = min(kc, K - k0), columns = min(64, n - j0);
    const to = packed + ((<usize>k0 * width + <usize>j0 * k) << 2);
    if (transposed) {
      const from = k0 & -32, wide = ((k0 + k + 31) & -32) - from, inset = <usize>(k0 - from) << 2;
      for (let j = 0; j < columns; j += NR) {
        const m = min(NR, columns - j);
        for (let i = 0; i < m; i++)
          unpackRow(format, b + <usize>(j0 + j + i) * rowBytes, from, wide, scratch + (<usize>(i * wide) << 2));
        packRows(scratch + inset, <usize>wide << 2, m, k, to + (<usize>(j * k) << 2), NR);
      }
    } else {
      for (let i = 0; i < k; i++)
        unpackRow(format, b + <usize>(k0 + i) * rowBytes, first + j0, columns, scratch + (<usize>(i * columns) << 2));
      packPanels(scratch, <usize>columns << 2, false, columns, k, to);
    }
  }
}

/**
 * gemvRows for W [N, K] in blocks: the same sums, each row of W unpacked once.
 * Fields: 1 x · 2 ldx · 3 w · 4 bytes of a row of w · 5 c · 6 ldc · 7 accumulate [M, N] or 0 (may be c) · 8 bias or 0 ·
 * 9 M · 10 N · 11 K · 12 format · 13 scratch, four rows of K floats for each thread
 */
export function gemvRowsBlocks(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), ldx = addressAt(p, 2), w = addressAt(p, 3), rowBytes = addressAt(p, 4);
  const c = addressAt(p, 5), ldc = addressAt(p, 6), base = addressAt(p, 7), bias = addressAt(p, 8);
  const M = intAt(p, 9), N = intAt(p, 10), K = intAt(p, 11), format = intAt(p, 12);
  const row = <usize>K << 2, scratch = addressAt(p, 13) + <usize>(4 * thread) * row;
  const tasks = (N + 15) / 16;
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const end = min(N, task * 16 + 16);
    for (let j = task * 16; j < end; j += 4) {
      const n = min(4, end - j);
      for (let i = 0; i < n; i++) unpackRow(format, w + <usize>(j + i) * rowBytes, 0, K, scratch + <usize>i * row);
      for (let i: usize = 0; i < <usize>M; i++) {
        const at = i * ldc + (<usize>j << 2);
        if (n == 4) {
          let init = bias ? v128.load(bias + (<usize>j << 2)) : f32x4.splat(0);
          if (base) init = f32x4.add(init, v128.load(base + at));
          v128.store(c + at, f32x4.add(init, dot4(x + i * ldx, scratch, row, K)));
        } else
          for (let q: usize = 0; q < <usize>n; q++) {
            const init = (bias ? load<f32>(bias + ((<usize>j + q) << 2)) : 0) + (base ? load<f32>(base + at + (q << 2)) : 0);
            store<f32>(c + at + (q << 2), init + dot(x + i * ldx, scratch + q * row, K));
          }
      }
    }
  }
}
