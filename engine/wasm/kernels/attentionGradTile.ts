// The products that sum over queries, dV += P · dO and dK += dS · Q: their first factor lies as the scores do,
// [key][query], and is read by columns.

import { QUERY_BLOCK } from './attentionParts';
import { fma } from './record';
import { MR, NR } from './tileSize';

/** Bytes of P's and dS's rows, [KEY_BLOCK][QUERY_BLOCK]. */
// @ts-ignore: a compile-time constant
@inline export const ROW: usize = QUERY_BLOCK << 2;

/** c[MR, D] += a · b over k queries: a rows ROW bytes apart, b column panels `apart` bytes from one another. */
export function sumPanels(a: usize, b: usize, apart: usize, c: usize, ldc: usize, k: i32, D: i32): void {
  for (let d = 0; d < D; d += NR) {
    addTile(a, b, c, ldc, k);
    b += apart;
    c += NR << 2;
  }
}

@inline function addRow(c: usize, left: v128, right: v128): void {
  v128.store(c, f32x4.add(v128.load(c), left));
  v128.store(c, f32x4.add(v128.load(c, 16), right), 16);
}

/** c[MR, 8] += a · b, for rows of a that lie ROW bytes apart and b [k][8]. */
export function addTile(a: usize, b: usize, c: usize, ldc: usize, k: i32): void {
  if (MR == 8) addTile8(a, b, c, ldc, k);
  else if (MR == 6) addTile6(a, b, c, ldc, k);
  else addTile4(a, b, c, ldc, k);
}

@inline function addTile8(a: usize, b: usize, c: usize, ldc: usize, k: i32): void {
  let c00 = f32x4.splat(0), c01 = c00;
  let c10 = f32x4.splat(0), c11 = c00;
  let c20 = f32x4.splat(0), c21 = c00;
  let c30 = f32x4.splat(0), c31 = c00;
  let c40 = f32x4.splat(0), c41 = c00;
  let c50 = f32x4.splat(0), c51 = c00;
  let c60 = f32x4.splat(0), c61 = c00;
  let c70 = f32x4.splat(0), c71 = c00;
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = fma(x, b0, c00);
    c01 = fma(x, b1, c01);
    x = v128.load32_splat(a, ROW);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 2 * ROW);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 3 * ROW);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    x = v128.load32_splat(a, 4 * ROW);
    c40 = fma(x, b0, c40);
    c41 = fma(x, b1, c41);
    x = v128.load32_splat(a, 5 * ROW);
    c50 = fma(x, b0, c50);
    c51 = fma(x, b1, c51);
    x = v128.load32_splat(a, 6 * ROW);
    c60 = fma(x, b0, c60);
    c61 = fma(x, b1, c61);
    x = v128.load32_splat(a, 7 * ROW);
    c70 = fma(x, b0, c70);
    c71 = fma(x, b1, c71);
    a += 4;
    b += NR << 2;
  }
  // From the last row to the first: the other way round V8 loads all of a before the products, and sums are spilled.
  addRow(c + 7 * ldc, c70, c71);
  addRow(c + 6 * ldc, c60, c61);
  addRow(c + 5 * ldc, c50, c51);
  addRow(c + 4 * ldc, c40, c41);
  addRow(c + 3 * ldc, c30, c31);
  addRow(c + 2 * ldc, c20, c21);
  addRow(c + ldc, c10, c11);
  addRow(c, c00, c01);
}

@inline function addTile6(a: usize, b: usize, c: usize, ldc: usize, k: i32): void {
  let c00 = f32x4.splat(0), c01 = c00;
  let c10 = f32x4.splat(0), c11 = c00;
  let c20 = f32x4.splat(0), c21 = c00;
  let c30 = f32x4.splat(0), c31 = c00;
  let c40 = f32x4.splat(0), c41 = c00;
  let c50 = f32x4.splat(0), c51 = c00;
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = fma(x, b0, c00);
    c01 = fma(x, b1, c01);
    x = v128.load32_splat(a, ROW);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 2 * ROW);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 3 * ROW);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    x = v128.load32_splat(a, 4 * ROW);
    c40 = fma(x, b0, c40);
    c41 = fma(x, b1, c41);
    x = v128.load32_splat(a, 5 * ROW);
    c50 = fma(x, b0, c50);
    c51 = fma(x, b1, c51);
    a += 4;
    b += NR << 2;
  }
  addRow(c + 5 * ldc, c50, c51);
  addRow(c + 4 * ldc, c40, c41);
  addRow(c + 3 * ldc, c30, c31);
  addRow(c + 2 * ldc, c20, c21);
  addRow(c + ldc, c10, c11);
  addRow(c, c00, c01);
}

@inline function addTile4(a: usize, b: usize, c: usize, ldc: usize, k: i32): void {
  let c00 = f32x4.splat(0), c01 = c00;
  let c10 = f32x4.splat(0), c11 = c00;
  let c20 = f32x4.splat(0), c21 = c00;
  let c30 = f32x4.splat(0), c31 = c00;
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = fma(x, b0, c00);
    c01 = fma(x, b1, c01);
    x = v128.load32_splat(a, ROW);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 2 * ROW);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 3 * ROW);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    a += 4;
    b += NR << 2;
  }
  addRow(c + 3 * ldc, c30, c31);
  addRow(c + 2 * ldc, c20, c21);
  addRow(c + ldc, c10, c11);
  addRow(c, c00, c01);
}
