// Sums and means over a block of neighbouring axes, x [outer, R, inner] → [outer, 1, inner], and their gradient.
import { addressAt, fma, intAt, shareStart } from './record';
import { CHUNK, fillFloats, loadPart, storePart } from './lanes';

@inline function sumLanesWide(v: v128): f64 {
  return <f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1)
    + <f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3);
}

/** Σx of a row of up to CHUNK floats: each lane adds up at most CHUNK / 16 of them. */
export function sumChunk(x: usize, n: i32): f64 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16) {
    a = f32x4.add(a, v128.load(x)); b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32)); d = f32x4.add(d, v128.load(x, 48));
    x += 64;
  }
  for (; n > 0; n -= 4) {
    a = f32x4.add(a, loadPart(x, n));
    x += 16;
  }
  return sumLanesWide(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}

/** Σx² of a row of n floats. */
export function sumSquares(x: usize, n: i32): f64 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16) {
    const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
    a = fma(x0, x0, a); b = fma(x1, x1, b); c = fma(x2, x2, c); d = fma(x3, x3, d);
    x += 64;
  }
  for (; n > 0; n -= 4) {
    const x0 = loadPart(x, n);
    a = fma(x0, x0, a);
    x += 16;
  }
  return sumLanesWide(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}

/** 1, or what makes a mean of a sum over n. */
@inline function scaleOf(mean: i32, n: i32): f32 {
  return mean && n > 0 ? <f32>(1.0 / <f64>n) : 1;
}

/** Sums along rows: x [rows, R] → y [rows]. Fields: x, y, rows, R, mean. */
export function reduceRows(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), rows = intAt(p, 3), n = intAt(p, 4);
  const scale = scaleOf(intAt(p, 5), n);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++) {
    const row = x + (<usize>(i * n) << 2);
    let total: f64 = 0;
    for (let c = 0; c < n; c += CHUNK) total += sumChunk(row + (<usize>c << 2), min(CHUNK, n - c));
    store<f32>(y + (<usize>i << 2), <f32>total * scale);
  }
}

/** Σx of each CHUNK, as f64, for reduceTotal. Fields: x, sums, elements. */
export function reduceChunks(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), sums = addressAt(p, 2), n = intAt(p, 3);
  const chunks = (n + CHUNK - 1) / CHUNK, end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const at = k * CHUNK;
    store<f64>(sums + (<usize>k << 3), sumChunk(x + (<usize>at << 2), min(CHUNK, n - at)));
  }
}

/** Fields: sums, y, elements, mean. */
export function reduceTotal(p: usize, thread: i32, threads: i32): void {
  if (thread != 0) return;
  const sums = addressAt(p, 1), n = intAt(p, 3), chunks = (n + CHUNK - 1) / CHUNK;
  let total: f64 = 0;
  for (let k = 0; k < chunks; k++) total += load<f64>(sums + (<usize>k << 3));
  store<f32>(addressAt(p, 2), <f32>total * scaleOf(intAt(p, 4), n));
}

// Columns that are added up together: 8 vectors, two cache lines.
export const STRIP: i32 = 32;
// Rows whose sum is made in registers before it goes to y: bounds the rounding errors of long sums.
const DEPTH: i32 = 64;

/** y [width] = Σ of `rows` rows of x, `step` bytes apart, onto y where `add`; width ≤ STRIP. */
export function sumStrip(x: usize, step: usize, rows: i32, y: usize, width: i32, add: bool): void {
  if (width < STRIP) {
    for (; width > 0; width -= 4) {
      let a = f32x4.splat(0), from = x;
      for (let i = 0; i < rows; i++) {
        a = f32x4.add(a, loadPart(from, width));
        from += step;
      }
      if (add) a = f32x4.add(a, loadPart(y, width));
      storePart(y, a, width);
      x += 16; y += 16;
    }
    return;
  }
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (let i = 0; i < rows; i++) {
    a = f32x4.add(a, v128.load(x)); b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32)); d = f32x4.add(d, v128.load(x, 48));
    e = f32x4.add(e, v128.load(x, 64)); f = f32x4.add(f, v128.load(x, 80));
    g = f32x4.add(g, v128.load(x, 96)); h = f32x4.add(h, v128.load(x, 112));
    x += step;
  }
  if (add) {
    a = f32x4.add(a, v128.load(y)); b = f32x4.add(b, v128.load(y, 16));
    c = f32x4.add(c, v128.load(y, 32)); d = f32x4.add(d, v128.load(y, 48));
    e = f32x4.add(e, v128.load(y, 64)); f = f32x4.add(f, v128.load(y, 80));
    g = f32x4.add(g, v128.load(y, 96)); h = f32x4.add(h, v128.load(y, 112));
  }
  v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
  v128.store(y, e, 64); v128.store(y, f, 80); v128.store(y, g, 96); v128.store(y, h, 112);
}

/** y [width] = Σ of all rows of x, `step` bytes apart, plus base where there is one (it may be y). */
export function sumColumns(x: usize, step: usize, rows: i32, base: usize, y: usize, width: i32): void {
  if (base && base != y) memory.copy(y, base, <usize>width << 2);
  sumStrip(x, step, min(DEPTH, rows), y, width, base != 0);
  for (let i = DEPTH; i < rows; i += DEPTH)
    sumStrip(x + <usize>i * step, step, min(DEPTH, rows - i), y, width, true);
}

/** Sums down columns: x [outer, R, inner] → y [outer, inner]. Fields: x, y, outer, R, inner, mean, base or 0. */
export function reduceColumns(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), outer = intAt(p, 3), rows = intAt(p, 4), inner = intAt(p, 5);
  const mean = intAt(p, 6), base = addressAt(p, 7), scale = f32x4.splat(scaleOf(mean, rows));
  const strips = (inner + STRIP - 1) / STRIP, units = outer * strips;
  const end = shareStart(units, 1, thread + 1, threads);
  for (let u = shareStart(units, 1, thread, threads); u < end; u++) {
    const o = u / strips, column = (u - o * strips) * STRIP, width = min(STRIP, inner - column);
    const from = x + (<usize>(o * rows * inner + column) << 2), at = <usize>(o * inner + column) << 2, to = y + at;
    sumColumns(from, <usize>inner << 2, rows, base ? base + at : 0, to, width);
    if (mean)
      for (let c = 0; c < width; c += 4) {
        const part = to + (<usize>c << 2);
        storePart(part, f32x4.mul(loadPart(part, width - c), scale), width - c);
      }
  }
}

/** y = scale · x, where x is one number for the whole row if its step is 0. */
export function spreadRow(x: usize, y: usize, n: i32, step: i32, scale: f32): void {
  if (step == 0) {
    fillFloats(y, load<f32>(x) * scale, n);
    return;
  }
  const s = f32x4.splat(scale);
  for (; n >= 4; n -= 4) {
    v128.store(y, f32x4.mul(v128.load(x), s));
    x += 16; y += 16;
  }
  if (n > 0) storePart(y, f32x4.mul(loadPart(x, n), s), n);
}

/**
 * y [d0, d1, d2, n] from x with a step (in elements, 0 where it is repeated) for each dimension, divided by the number
 * of repetitions for a mean. Fields: x, y, d0, d1, d2, n, the four steps, mean, x's elements, y's elements.
 */
export function spread(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2);
  const d1 = intAt(p, 4), d2 = intAt(p, 5), n = intAt(p, 6), rows = intAt(p, 3) * d1 * d2;
  const s0 = intAt(p, 7), s1 = intAt(p, 8), s2 = intAt(p, 9), s3 = intAt(p, 10);
  const scale: f32 = intAt(p, 11) ? <f32>(<f64>intAt(p, 12) / <f64>intAt(p, 13)) : 1;
  const chunks = (n + CHUNK - 1) / CHUNK, units = rows * chunks;
  const end = shareStart(units, 1, thread + 1, threads);
  for (let u = shareStart(units, 1, thread, threads); u < end; u++) {
    const row = u / chunks, l = (u - row * chunks) * CHUNK;
    const ij = row / d2, k = row - ij * d2, i = ij / d1, j = ij - i * d1;
    const from = x + (<usize>(i * s0 + j * s1 + k * s2 + l * s3) << 2);
    spreadRow(from, y + (<usize>(row * n + l) << 2), min(CHUNK, n - l), s3, scale);
  }
}
