// What attention's kernels share. Scores are held transposed, [key][8 queries]: the maxima and sums of softmax then go
// along SIMD lanes, and the same scores, as they lie, are the second factor of the product with the values.

import { tile } from './micro';
import { packColumns } from './pack';
import { addressAt, fma, intAt } from './record';
import { MR, NR } from './tileSize';

// Fields of the record that all calls of both ops begin with.
// @ts-ignore: a compile-time constant
@inline export const Q: usize = 1;
// @ts-ignore
@inline export const K: usize = 2;
// @ts-ignore
@inline export const V: usize = 3;
// @ts-ignore
@inline export const SEGMENTS: usize = 4;
// @ts-ignore
@inline export const SEGMENT_COUNT: usize = 5;
// @ts-ignore
@inline export const HEADS: usize = 6;
// @ts-ignore
@inline export const KV_HEADS: usize = 7;
// @ts-ignore
@inline export const HEAD_DIM: usize = 8;
/** True rows of k and v, and their capacity, which decides how the packed copies lie. */
// @ts-ignore
@inline export const KEY_ROWS: usize = 9;
// @ts-ignore
@inline export const KEY_CAPACITY: usize = 10;
/** 1/√headDim */
// @ts-ignore
@inline export const SCALE: usize = 11;
/** Memory of each thread, and its bytes. */
// @ts-ignore
@inline export const SCRATCH: usize = 12;
// @ts-ignore
@inline export const SCRATCH_BYTES: usize = 13;
/** The first field that an op's calls use as they like. */
// @ts-ignore
@inline export const OWN: usize = 14;

/** Queries that a task takes at a time, in panels of NR. */
// @ts-ignore
@inline export const QUERY_BLOCK: i32 = 64;
/** Keys at a time, a multiple of MR in all binaries. */
// @ts-ignore
@inline export const KEY_BLOCK: i32 = 96;
/** Blocks of keys begin at multiples of this, which every binary's MR divides: a softmax, summed by blocks, then has the
 *  same bits with each of them. */
// @ts-ignore: a compile-time constant
@inline export const KEY_STEP: i32 = 24;
/** Key end of queries that see all keys: no key lies behind it. */
// @ts-ignore
@inline export const ALL: i32 = 0x3fffffff;

@inline export function segmentAt(p: usize, s: i32): usize { return addressAt(p, SEGMENTS) + <usize>s * 24; }
@inline export function queryStart(t: usize): i32 { return load<i32>(t); }
@inline export function queryLength(t: usize): i32 { return load<i32>(t, 4); }
@inline export function keyStart(t: usize): i32 { return load<i32>(t, 8); }
@inline export function keyLength(t: usize): i32 { return load<i32>(t, 12); }
@inline export function prefixStart(t: usize): i32 { return load<i32>(t, 16); }
@inline export function prefixLength(t: usize): i32 { return load<i32>(t, 20); }
/** Query i of a segment sees its own keys before row keyEnd + i. */
@inline export function keyEnd(t: usize): i32 { return keyStart(t) + keyLength(t) - queryLength(t) + 1; }

@inline export function panelsOf(n: i32, width: i32): i32 { return (n + width - 1) / width; }
@inline export function bytes(floats: i32): usize { return <usize>floats << 2; }

/** Rows [start, …) of one head of k or v, at column panels [D/MR][capacity][MR]: the keys are the summed dimension. */
export function packKeyColumns(source: usize, ld: usize, start: i32, rows: i32, capacity: i32, D: i32,
  to: usize): void {
  to += bytes(start * MR);
  for (let d = 0; d < D; d += MR) {
    packColumns(source + bytes(d), ld, min(MR, D - d), rows, to, MR);
    to += bytes(panelsOf(capacity, MR) * MR * MR);
  }
}

/** Bytes between two column panels of packKeyColumns. */
@inline export function columnPanel(p: usize): usize { return bytes(panelsOf(intAt(p, KEY_CAPACITY), MR) * MR * MR); }

// Adding 1.5 · 2^23 rounds a float to an integer, which then lies in the low bits of the sum.
// @ts-ignore
@inline const ROUND: f32 = 12582912;
// @ts-ignore
@inline export const LOG2E: f32 = 1.4426950408889634;
// @ts-ignore
@inline export const LN2: f32 = 0.6931471805599453;

/** 2^x for the x of a softmax, which are at most a little above 0; exactly 0 below −125. NaN stays NaN. Relative error
 *  1.0e-7 (2^r = 1 + r · q(r) on |r| ≤ ½, q interpolated at Chebyshev nodes). */
@inline export function exp2Low(x: v128): v128 {
  const t = f32x4.add(x, f32x4.splat(ROUND)), r = f32x4.sub(x, f32x4.sub(t, f32x4.splat(ROUND)));
  let q = fma(f32x4.splat(1.5453163e-4), r, f32x4.splat(1.3390863e-3));
  q = fma(q, r, f32x4.splat(9.618083e-3));
  q = fma(q, r, f32x4.splat(5.550357e-2));
  q = fma(q, r, f32x4.splat(2.4022651e-1));
  q = fma(q, r, f32x4.splat(6.9314718e-1));
  const power = i32x4.add(fma(q, r, f32x4.splat(1)), i32x4.shl(t, 23));
  return v128.andnot(power, f32x4.lt(x, f32x4.splat(-125)));
}

/** c[n · MR, 8] = a · b for n row panels of keys, a [n][D][MR], and a panel of queries, b [D][8]. */
export function dotKeys(a: usize, n: i32, b: usize, c: usize, ldc: usize, D: i32): void {
  for (; n > 0; n--) {
    tile(a, b, NR << 2, c, ldc, D, 0, 0);
    a += bytes(D * MR);
    c += <usize>MR * ldc;
  }
}

/** c[D, 8] = init + aᵀ · b over k keys: a column panels, `apart` bytes from one another; init is c or 0. */
export function sumKeys(a: usize, apart: usize, b: usize, bStep: usize, c: usize, k: i32, D: i32, init: usize): void {
  for (let d = 0; d < D; d += MR) {
    tile(a, b, bStep, c, NR << 2, k, init, init ? <usize>NR << 2 : 0);
    a += apart;
    c += (MR * NR) << 2;
    if (init) init += (MR * NR) << 2;
  }
}

/** to[rows, D] = transpose of factor · o, for o [D, 8] and one factor a column. */
export function storePanel(o: usize, factor: usize, to: usize, ld: usize, rows: i32, D: i32): void {
  for (let i = 0; i < rows; i += 4) {
    const column = o + bytes(i), factors = v128.load(factor + bytes(i));
    let d = 0;
    if (i + 4 <= rows) {
      const to1 = to + ld, to2 = to1 + ld, to3 = to2 + ld;
      for (; d + 4 <= D; d += 4) {
        const at = column + bytes(d * NR), x = bytes(d);
        const c0 = f32x4.mul(v128.load(at), factors), c1 = f32x4.mul(v128.load(at, 32), factors);
        const c2 = f32x4.mul(v128.load(at, 64), factors), c3 = f32x4.mul(v128.load(at, 96), factors);
        const low01 = v128.shuffle<f32>(c0, c1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(c0, c1, 2, 6, 3, 7);
        const low23 = v128.shuffle<f32>(c2, c3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(c2, c3, 2, 6, 3, 7);
        v128.store(to + x, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
        v128.store(to1 + x, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
        v128.store(to2 + x, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
        v128.store(to3 + x, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
      }
    }
    for (; d < D; d++)
      for (let r = 0; r < min(4, rows - i); r++)
        store<f32>(to + <usize>r * ld + bytes(d),
          load<f32>(column + bytes(d * NR + r)) * load<f32>(factor + bytes(i + r)));
    to += ld << 2;
  }
}
