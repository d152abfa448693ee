// Packing: copies of a matrix's panels in the order in which a register tile reads them, [k][width], with zeros
// where a panel hangs over the matrix's edge. `ld` is the distance of the source's rows in bytes.

import { MR, NR } from './tileSize';

/** Panel [k][width] of rows that lie as [k][ld]: the first `columns` of each row, zeros after them. */
export function packColumns(source: usize, ld: usize, columns: i32, k: i32, to: usize, width: i32): void {
  if (columns == 8 && width == 8) copy8(source, ld, k, to);
  else if (columns == 6 && width == 6) copy6(source, ld, k, to);
  else if (columns == 4 && width == 4) copy4(source, ld, k, to);
  else {
    for (let p = 0; p < k; p++) {
      for (let j: usize = 0; j < <usize>width; j++)
        store<f32>(to + (j << 2), j < <usize>columns ? load<f32>(source + (j << 2)) : 0);
      source += ld;
      to += <usize>width << 2;
    }
  }
}

/** Panel [k][width] of columns that lie as [rows][ld]: element (p, i) is source[i][p], zeros from `rows` on. */
export function packRows(source: usize, ld: usize, rows: i32, k: i32, to: usize, width: i32): void {
  if (rows == width && width == 4) transpose4(source, ld, k, to, 16);
  else if (rows == width && width == 6) transpose6(source, ld, k, to);
  else if (rows == width && width == 8) {
    transpose4(source, ld, k, to, 32);
    transpose4(source + 4 * ld, ld, k, to + 16, 32);
  } else {
    for (let i = 0; i < width; i++) {
      let at = to + (<usize>i << 2);
      for (let p: usize = 0; p < <usize>k; p++) {
        store<f32>(at, i < rows ? load<f32>(source + (p << 2)) : 0);
        at += <usize>width << 2;
      }
      source += ld;
    }
  }
}

/** Four panels of NR columns at once, `apart` bytes from one another: whole cache lines are read from each row. */
export function packColumns4(source: usize, ld: usize, k: i32, to: usize, apart: usize): void {
  const to1 = to + apart, to2 = to1 + apart, to3 = to2 + apart;
  const end = <usize>k << 5;
  for (let p: usize = 0; p < end; p += 32) {
    v128.store(to + p, v128.load(source));
    v128.store(to + p, v128.load(source, 16), 16);
    v128.store(to1 + p, v128.load(source, 32));
    v128.store(to1 + p, v128.load(source, 48), 16);
    v128.store(to2 + p, v128.load(source, 64));
    v128.store(to2 + p, v128.load(source, 80), 16);
    v128.store(to3 + p, v128.load(source, 96));
    v128.store(to3 + p, v128.load(source, 112), 16);
    source += ld;
  }
}

function copy8(source: usize, ld: usize, k: i32, to: usize): void {
  for (; k > 0; k--) {
    v128.store(to, v128.load(source));
    v128.store(to, v128.load(source, 16), 16);
    source += ld;
    to += 32;
  }
}

function copy6(source: usize, ld: usize, k: i32, to: usize): void {
  for (; k > 0; k--) {
    v128.store(to, v128.load(source));
    store<u64>(to, load<u64>(source, 16), 16);
    source += ld;
    to += 24;
  }
}

function copy4(source: usize, ld: usize, k: i32, to: usize): void {
  for (; k > 0; k--) {
    v128.store(to, v128.load(source));
    source += ld;
    to += 16;
  }
}

/** [4][k] → [k][4], the rows of the result `step` bytes apart. */
function transpose4(source: usize, ld: usize, k: i32, to: usize, step: usize): void {
  const s1 = source + ld, s2 = s1 + ld, s3 = s2 + ld;
  const end = <usize>k << 2, whole = end & ~15;
  let p: usize = 0;
  for (; p < whole; p += 16) {
    const r0 = v128.load(source + p), r1 = v128.load(s1 + p), r2 = v128.load(s2 + p), r3 = v128.load(s3 + p);
    const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
    v128.store(to + step, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
    to += step << 1;
    v128.store(to, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
    v128.store(to + step, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
    to += step << 1;
  }
  for (; p < end; p += 4) {
    store<f32>(to, load<f32>(source + p));
    store<f32>(to, load<f32>(s1 + p), 4);
    store<f32>(to, load<f32>(s2 + p), 8);
    store<f32>(to, load<f32>(s3 + p), 12);
    to += step;
  }
}

/** [6][k] → [k][6]. */
function transpose6(source: usize, ld: usize, k: i32, to: usize): void {
  const s1 = source + ld, s2 = s1 + ld, s3 = s2 + ld, s4 = s3 + ld, s5 = s4 + ld;
  const end = <usize>k << 2, whole = end & ~15;
  let p: usize = 0;
  for (; p < whole; p += 16) {
    const r0 = v128.load(source + p), r1 = v128.load(s1 + p), r2 = v128.load(s2 + p), r3 = v128.load(s3 + p);
    const r4 = v128.load(s4 + p), r5 = v128.load(s5 + p);
    const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    const low45 = v128.shuffle<f32>(r4, r5, 0, 4, 1, 5), high45 = v128.shuffle<f32>(r4, r5, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
    v128.store_lane<u64>(to, low45, 0, 16);
    v128.store(to, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7), 24);
    v128.store_lane<u64>(to, low45, 1, 40);
    v128.store(to, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), 48);
    v128.store_lane<u64>(to, high45, 0, 64);
    v128.store(to, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7), 72);
    v128.store_lane<u64>(to, high45, 1, 88);
    to += 96;
  }
  for (; p < end; p += 4) {
    store<f32>(to, load<f32>(source + p));
    store<f32>(to, load<f32>(s1 + p), 4);
    store<f32>(to, load<f32>(s2 + p), 8);
    store<f32>(to, load<f32>(s3 + p), 12);
    store<f32>(to, load<f32>(s4 + p), 16);
    store<f32>(to, load<f32>(s5 + p), 20);
    to += 24;
  }
}

/** Rows [0, m) of A as panels [k][MR], one after another; `transposed`: A lies as [k][ld], its rows being columns. */
export function packA(a: usize, lda: usize, transposed: bool, m: i32, k: i32, to: usize): void {
  const panel = <usize>(k * MR) << 2;
  for (let i = 0; i < m; i += MR) {
    const rows = min(MR, m - i);
    if (transposed) packColumns(a + (<usize>i << 2), lda, rows, k, to, MR);
    else packRows(a + <usize>i * lda, lda, rows, k, to, MR);
    to += panel;
  }
}

/** Columns [0, n) of B as panels [k][NR], one after another; `transposed`: B lies as [n][ld], k along its rows. */
export function packPanels(b: usize, ldb: usize, transposed: bool, n: i32, k: i32, to: usize): void {
  const panel = <usize>(k * NR) << 2;
  let j = 0;
  if (!transposed)
    for (; j + 4 * NR <= n; j += 4 * NR) packColumns4(b + (<usize>j << 2), ldb, k, to + <usize>(j / NR) * panel, panel);
  for (; j < n; j += NR) {
    const at = to + <usize>(j / NR) * panel, columns = min(NR, n - j);
    if (transposed) packRows(b + <usize>j * ldb, ldb, columns, k, at, NR);
    else packColumns(b + (<usize>j << 2), ldb, columns, k, at, NR);
  }
}
