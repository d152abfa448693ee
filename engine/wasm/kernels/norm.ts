// Layer norm and RMS norm of each row of x [T, C], and their gradients.
import { addressAt, floatAt, fma, intAt, shareStart } from './record';
import { fillFloats, laneMask, loadPart, storePart, sumLanes } from './lanes';
import { STRIP, sumChunk, sumColumns, sumSquares } from './reduce';

// Rows whose share of dWeight and dBias is summed into one row of the workspace; the same for any number of threads.
const GRAD_ROWS: i32 = 32;

@inline function addDeviation(x: usize, mean: v128, n: i32, total: v128): v128 {
  let d = f32x4.sub(loadPart(x, n), mean);
  if (n < 4) d = v128.and(d, laneMask(n));
  return fma(d, d, total);
}

@inline function scaleAndShift(x: usize, m: v128, r: v128, weight: usize, bias: usize, y: usize, n: i32): void {
  const hat = f32x4.mul(f32x4.sub(loadPart(x, n), m), r);
  storePart(y, fma(hat, loadPart(weight, n), loadPart(bias, n)), n);
}

/** y = (x − mean) · rstd · weight + bias for one row of C; mean and rstd go to their addresses. */
export function layerNormRow(
  x: usize, weight: usize, bias: usize, y: usize, mean: usize, rstd: usize, C: i32, eps: f32,
): void {
  const m: f32 = <f32>sumChunk(x, C) / <f32>C, m4 = f32x4.splat(m);
  let even = f32x4.splat(0), odd = even, c = 0;
  for (; c + 8 <= C; c += 8) {
    const at = <usize>c << 2;
    even = addDeviation(x + at, m4, 4, even);
    odd = addDeviation(x + at + 16, m4, 4, odd);
  }
  for (; c < C; c += 4) even = addDeviation(x + (<usize>c << 2), m4, C - c, even);
  const r: f32 = 1.0 / sqrt<f32>(sumLanes(f32x4.add(even, odd)) / <f32>C + eps), r4 = f32x4.splat(r);
  store<f32>(mean, m);
  store<f32>(rstd, r);
  for (c = 0; c + 4 <= C; c += 4) {
    const at = <usize>c << 2;
    scaleAndShift(x + at, m4, r4, weight + at, bias + at, y + at, 4);
  }
  const at = <usize>c << 2;
  if (c < C) scaleAndShift(x + at, m4, r4, weight + at, bias + at, y + at, C - c);
}

/** Fields: x, weight, bias, y, mean, rstd, rows, C, eps. */
export function layerNorm(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), bias = addressAt(p, 3), y = addressAt(p, 4);
  const mean = addressAt(p, 5), rstd = addressAt(p, 6), rows = intAt(p, 7), C = intAt(p, 8), eps = floatAt(p, 9);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let t = shareStart(rows, 1, thread, threads); t < end; t++) {
    const at = <usize>(t * C) << 2, one = <usize>t << 2;
    layerNormRow(x + at, weight, bias, y + at, mean + one, rstd + one, C, eps);
  }
}

@inline function hatOf(x: usize, m: v128, r: v128, n: i32): v128 {
  return f32x4.mul(f32x4.sub(loadPart(x, n), m), r);
}

@inline function product(a: usize, b: usize, n: i32): v128 {
  return f32x4.mul(loadPart(a, n), loadPart(b, n));
}

@inline function layerNormGradStep(
  x: usize, weight: usize, dy: usize, base: usize, dx: usize, dWeight: usize, dBias: usize,
  m: v128, r: v128, meanG: v128, meanGHat: v128, n: i32,
): void {
  const d = loadPart(dy, n), hat = hatOf(x, m, r, n);
  storePart(dWeight, fma(d, hat, loadPart(dWeight, n)), n);
  storePart(dBias, f32x4.add(loadPart(dBias, n), d), n);
  const g = f32x4.sub(f32x4.mul(d, loadPart(weight, n)), meanG);
  const v = f32x4.mul(r, f32x4.sub(g, f32x4.mul(hat, meanGHat)));
  storePart(dx, base ? f32x4.add(v, loadPart(base, n)) : v, n);
}

/**
 * dx = rstd · (g − Σg / C − hat · Σ(g · hat) / C) for one row, with g = dy · weight and hat = (x − mean) · rstd;
 * dWeight += dy · hat, dBias += dy. dx gets base besides, where there is one; it may be dy or base.
 */
export function layerNormGradRow(
  x: usize, weight: usize, dy: usize, base: usize, dx: usize, dWeight: usize, dBias: usize, C: i32,
  mean: f32, rstd: f32,
): void {
  const m = f32x4.splat(mean), r = f32x4.splat(rstd);
  let sumG = f32x4.splat(0), sumGHat = sumG, c = 0;
  for (; c + 4 <= C; c += 4) {
    const at = <usize>c << 2, g = product(dy + at, weight + at, 4);
    sumG = f32x4.add(sumG, g);
    sumGHat = fma(g, hatOf(x + at, m, r, 4), sumGHat);
  }
  if (c < C) {
    const at = <usize>c << 2, g = product(dy + at, weight + at, C - c);
    sumG = f32x4.add(sumG, g);
    sumGHat = fma(g, hatOf(x + at, m, r, C - c), sumGHat);
  }
  const meanG = f32x4.splat(sumLanes(sumG) / <f32>C), meanGHat = f32x4.splat(sumLanes(sumGHat) / <f32>C);
  for (; C >= 4; C -= 4) {
    layerNormGradStep(x, weight, dy, base, dx, dWeight, dBias, m, r, meanG, meanGHat, 4);
    x += 16; weight += 16; dy += 16; dx += 16; dWeight += 16; dBias += 16;
    if (base) base += 16;
  }
  if (C > 0) layerNormGradStep(x, weight, dy, base, dx, dWeight, dBias, m, r, meanG, meanGHat, C);
}

/**
 * dx, and for each GRAD_ROWS rows their sums [dWeight, dBias], 2 C floats, in the workspace.
 * Fields: x, weight, mean, rstd, dy, dx, sums, rows, C, base of dx or 0.
 */
export function layerNormGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), mean = addressAt(p, 3), rstd = addressAt(p, 4);
  const dy = addressAt(p, 5), dx = addressAt(p, 6), rows = intAt(p, 8), C = intAt(p, 9), base = addressAt(p, 10);
  const chunks = (rows + GRAD_ROWS - 1) / GRAD_ROWS, end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const sums = addressAt(p, 7) + (<usize>(k * 2 * C) << 2);
    fillFloats(sums, 0, 2 * C);
    for (let t = k * GRAD_ROWS; t < min(rows, (k + 1) * GRAD_ROWS); t++) {
      const at = <usize>(t * C) << 2;
      const m = load<f32>(mean + (<usize>t << 2)), r = load<f32>(rstd + (<usize>t << 2));
      const on = base ? base + at : 0;
      layerNormGradRow(x + at, weight, dy + at, on, dx + at, sums, sums + (<usize>C << 2), C, m, r);
    }
  }
}

/**
 * Adds up the workspace's rows to dWeight or dBias.
 * Fields: sums, floats between its rows, gradient, rows, C, what it is added onto or 0.
 */
export function normWeightGrad(p: usize, thread: i32, threads: i32): void {
  const sums = addressAt(p, 1), step = <usize>intAt(p, 2) << 2, y = addressAt(p, 3), C = intAt(p, 5);
  const chunks = (intAt(p, 4) + GRAD_ROWS - 1) / GRAD_ROWS, base = addressAt(p, 6);
  const end = shareStart(C, STRIP, thread + 1, threads);
  for (let c = shareStart(C, STRIP, thread, threads); c < end; c += STRIP)
    sumColumns(sums + (<usize>c << 2), step, chunks, base ? base + (<usize>c << 2) : 0, y + (<usize>c << 2), min(STRIP, C - c));
}

/** y = x · rstd · weight for one row of C; rstd goes to its address. */
export function rmsNormRow(x: usize, weight: usize, y: usize, rstd: usize, C: i32, eps: f32): void {
  const r: f32 = 1.0 / sqrt<f32>(<f32>(sumSquares(x, C) / C) + eps), r4 = f32x4.splat(r);
  store<f32>(rstd, r);
  for (; C >= 4; C -= 4) {
    v128.store(y, f32x4.mul(f32x4.mul(v128.load(x), r4), v128.load(weight)));
    x += 16; weight += 16; y += 16;
  }
  if (C > 0) storePart(y, f32x4.mul(f32x4.mul(loadPart(x, C), r4), loadPart(weight, C)), C);
}

/** Fields: x, weight, y, rstd, rows, C, eps. */
export function rmsNorm(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), y = addressAt(p, 3), rstd = addressAt(p, 4);
  const rows = intAt(p, 5), C = intAt(p, 6), eps = floatAt(p, 7);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let t = shareStart(rows, 1, thread, threads); t < end; t++) {
    const at = <usize>(t * C) << 2;
    rmsNormRow(x + at, weight, y + at, rstd + (<usize>t << 2), C, eps);
  }
}

@inline function rmsNormGradStep(
  x: usize, weight: usize, dy: usize, base: usize, dx: usize, dWeight: usize, r: v128, meanGHat: v128, n: i32,
): void {
  const d = loadPart(dy, n), hat = f32x4.mul(loadPart(x, n), r);
  storePart(dWeight, fma(d, hat, loadPart(dWeight, n)), n);
  const g = f32x4.mul(d, loadPart(weight, n)), v = f32x4.mul(r, f32x4.sub(g, f32x4.mul(hat, meanGHat)));
  storePart(dx, base ? f32x4.add(v, loadPart(base, n)) : v, n);
}

/**
 * dx = rstd · (dy · weight − hat · Σ(dy · weight · hat) / C) for one row, hat = x · rstd, plus base where there is one;
 * dWeight += dy · hat. dx may be dy or base.
 */
export function rmsNormGradRow(
  x: usize, weight: usize, dy: usize, base: usize, dx: usize, dWeight: usize, C: i32, rstd: f32,
): void {
  const r = f32x4.splat(rstd);
  let even = f32x4.splat(0), odd = even, c = 0;
  for (; c + 8 <= C; c += 8) {
    const at = <usize>c << 2;
    even = fma(product(dy + at, weight + at, 4), v128.load(x + at), even);
    odd = fma(product(dy + at + 16, weight + at + 16, 4), v128.load(x + at, 16), odd);
  }
  for (; c < C; c += 4) {
    const at = <usize>c << 2;
    even = fma(product(dy + at, weight + at, C - c), loadPart(x + at, C - c), even);
  }
  const meanGHat = f32x4.splat(sumLanes(f32x4.add(even, odd)) * rstd / <f32>C);
  for (; C >= 4; C -= 4) {
    rmsNormGradStep(x, weight, dy, base, dx, dWeight, r, meanGHat, 4);
    x += 16; weight += 16; dy += 16; dx += 16; dWeight += 16;
    if (base) base += 16;
  }
  if (C > 0) rmsNormGradStep(x, weight, dy, base, dx, dWeight, r, meanGHat, C);
}

/**
 * dx, and for each GRAD_ROWS rows their dWeight [C] in the workspace.
 * Fields: x, weight, rstd, dy, dx, sums, rows, C, base of dx or 0.
 */
export function rmsNormGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), rstd = addressAt(p, 3);
  const dy = addressAt(p, 4), dx = addressAt(p, 5), rows = intAt(p, 7), C = intAt(p, 8), base = addressAt(p, 9);
  const chunks = (rows + GRAD_ROWS - 1) / GRAD_ROWS, end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const sums = addressAt(p, 6) + (<usize>(k * C) << 2);
    fillFloats(sums, 0, C);
    for (let t = k * GRAD_ROWS; t < min(rows, (k + 1) * GRAD_ROWS); t++) {
      const at = <usize>(t * C) << 2;
      const on = base ? base + at : 0;
      rmsNormGradRow(x + at, weight, dy + at, on, dx + at, sums, C, load<f32>(rstd + (<usize>t << 2)));
    }
  }
}
