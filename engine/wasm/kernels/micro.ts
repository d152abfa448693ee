// The register tile of every product: MR rows of A times NR columns of B, all of its sums held in SIMD registers.

import { fma } from './record';
import { MR, NR } from './tileSize';

@inline function putRow(c: usize, left: v128, right: v128): void {
  v128.store(c, left);
  v128.store(c, right, 16);
}
@inline function putSums(c: usize, init: usize, left: v128, right: v128): void {
  v128.store(c, f32x4.add(v128.load(init), left));
  v128.store(c, f32x4.add(v128.load(init, 16), right), 16);
}

/**
 * c[MR, NR] = init + a · b over k, for a packed [k][MR], b a panel whose rows of NR lie `bStep` bytes apart.
 * init = 0: none; `ldi` = 0 repeats one row (a bias). ldc and ldi are in bytes.
 */
export function tile(a: usize, b: usize, bStep: usize, c: usize, ldc: usize, k: i32, init: usize, ldi: usize): void {
  // One branch on init, not one for each row: with six the sums no longer stay in registers (V8), at half the speed.
  if (MR == 8) tile8(a, b, bStep, c, ldc, k, init, ldi);
  else if (MR == 6) tile6(a, b, bStep, c, ldc, k, init, ldi);
  else tile4(a, b, bStep, c, ldc, k, init, ldi);
}

@inline function tile8(a: usize, b: usize, bStep: usize, c: usize, ldc: usize, k: i32, init: usize, ldi: usize): void {
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
    x = v128.load32_splat(a, 4);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = fma(x, b0, c40);
    c41 = fma(x, b1, c41);
    x = v128.load32_splat(a, 20);
    c50 = fma(x, b0, c50);
    c51 = fma(x, b1, c51);
    x = v128.load32_splat(a, 24);
    c60 = fma(x, b0, c60);
    c61 = fma(x, b1, c61);
    x = v128.load32_splat(a, 28);
    c70 = fma(x, b0, c70);
    c71 = fma(x, b1, c71);
    a += 32;
    b += bStep;
  }
  if (init) {
    putSums(c, init, c00, c01);
    c += ldc; init += ldi;
    putSums(c, init, c10, c11);
    c += ldc; init += ldi;
    putSums(c, init, c20, c21);
    c += ldc; init += ldi;
    putSums(c, init, c30, c31);
    c += ldc; init += ldi;
    putSums(c, init, c40, c41);
    c += ldc; init += ldi;
    putSums(c, init, c50, c51);
    c += ldc; init += ldi;
    putSums(c, init, c60, c61);
    c += ldc; init += ldi;
    putSums(c, init, c70, c71);
  } else {
    putRow(c, c00, c01);
    c += ldc;
    putRow(c, c10, c11);
    c += ldc;
    putRow(c, c20, c21);
    c += ldc;
    putRow(c, c30, c31);
    c += ldc;
    putRow(c, c40, c41);
    c += ldc;
    putRow(c, c50, c51);
    c += ldc;
    putRow(c, c60, c61);
    c += ldc;
    putRow(c, c70, c71);
  }
}

@inline function tile6(a: usize, b: usize, bStep: usize, c: usize, ldc: usize, k: i32, init: usize, ldi: usize): void {
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
    x = v128.load32_splat(a, 4);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = fma(x, b0, c40);
    c41 = fma(x, b1, c41);
    x = v128.load32_splat(a, 20);
    c50 = fma(x, b0, c50);
    c51 = fma(x, b1, c51);
    a += 24;
    b += bStep;
  }
  if (init) {
    putSums(c, init, c00, c01);
    c += ldc; init += ldi;
    putSums(c, init, c10, c11);
    c += ldc; init += ldi;
    putSums(c, init, c20, c21);
    c += ldc; init += ldi;
    putSums(c, init, c30, c31);
    c += ldc; init += ldi;
    putSums(c, init, c40, c41);
    c += ldc; init += ldi;
    putSums(c, init, c50, c51);
  } else {
    putRow(c, c00, c01);
    c += ldc;
    putRow(c, c10, c11);
    c += ldc;
    putRow(c, c20, c21);
    c += ldc;
    putRow(c, c30, c31);
    c += ldc;
    putRow(c, c40, c41);
    c += ldc;
    putRow(c, c50, c51);
  }
}

@inline function tile4(a: usize, b: usize, bStep: usize, c: usize, ldc: usize, k: i32, init: usize, ldi: usize): void {
  let c00 = f32x4.splat(0), c01 = c00;
  let c10 = f32x4.splat(0), c11 = c00;
  let c20 = f32x4.splat(0), c21 = c00;
  let c30 = f32x4.splat(0), c31 = c00;
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = fma(x, b0, c00);
    c01 = fma(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = fma(x, b0, c10);
    c11 = fma(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = fma(x, b0, c20);
    c21 = fma(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = fma(x, b0, c30);
    c31 = fma(x, b1, c31);
    a += 16;
    b += bStep;
  }
  if (init) {
    putSums(c, init, c00, c01);
    c += ldc; init += ldi;
    putSums(c, init, c10, c11);
    c += ldc; init += ldi;
    putSums(c, init, c20, c21);
    c += ldc; init += ldi;
    putSums(c, init, c30, c31);
  } else {
    putRow(c, c00, c01);
    c += ldc;
    putRow(c, c10, c11);
    c += ldc;
    putRow(c, c20, c21);
    c += ldc;
    putRow(c, c30, c31);
  }
}

/** The first m rows and n columns of a tile [MR, NR] of sums, to c = init + sums: the tiles at a matrix's edge. */
export function storeEdge(sums: usize, c: usize, ldc: usize, m: i32, n: i32, init: usize, ldi: usize): void {
  const bytes = <usize>n << 2;
  for (let i = 0; i < m; i++) {
    for (let j: usize = 0; j < bytes; j += 4) {
      const sum = load<f32>(sums + j);
      store<f32>(c + j, init ? load<f32>(init + j) + sum : sum);
    }
    sums += <usize>NR << 2;
    c += ldc;
    if (init) init += ldi;
  }
}
