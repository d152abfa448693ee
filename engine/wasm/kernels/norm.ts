// Layer norm and RMS norm of each row of x [T, C], and their gradients.
import { addressAt, floatAt, fma, intAt, shareStart } from './record';
import { fillFloats, laneMask, loadPart, storePart, sumLanes } from './lanes';
import { STRIP, sumColumns } from './reduce';

// Rows whose share of dWeight and dBias is summed into one row of the workspace; the same for any number of threads.
const GRAD_ROWS: i32 = 32;

/** y = (x − mean) · rstd · weight + bias for one row of C; mean and rstd go to their addresses. */
export function layerNormRow(
  x: usize, weight: usize, bias: usize, y: usize, mean: usize, rstd: usize, C: i32, eps: f32,
): void {
  let total = f32x4.splat(0);
  for (let c = 0; c < C; c += 4) total = f32x4.add(total, loadPart(x + (<usize>c << 2), C - c));
  const m = sumLanes(total) / <f32>C, m4 = f32x4.splat(m);
  let squares = f32x4.splat(0), c = 0;
  for (; c + 4 <= C; c += 4) {
    const d = f32x4.sub(v128.load(x + (<usize>c << 2)), m4);
    squares = fma(d, d, squares);
  }
  if (c < C) {
    const d = v128.and(f32x4.sub(loadPart(x + (<usize>c << 2), C - c), m4), laneMask(C - c));
    squares = fma(d, d, squares);
  }
  const r: f32 = 1.0 / sqrt<f32>(sumLanes(squares) / <f32>C + eps), r4 = f32x4.splat(r);
  store<f32>(mean, m);
  store<f32>(rstd, r);
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    const hat = f32x4.mul(f32x4.sub(loadPart(x + at, n), m4), r4);
    storePart(y + at, fma(hat, loadPart(weight + at, n), loadPart(bias + at, n)), n);
  }
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

/**
 * dx = rstd · (g − Σg / C − hat · Σ(g · hat) / C) for one row, with g = dy · weight and hat = (x − mean) · rstd;
 * dWeight += dy · hat, dBias += dy. dx may be dy.
 */
export function layerNormGradRow(
  x: usize, weight: usize, dy: usize, dx: usize, dWeight: usize, dBias: usize, C: i32, mean: f32, rstd: f32,
): void {
  const m = f32x4.splat(mean), r = f32x4.splat(rstd);
  let sumG = f32x4.splat(0), sumGHat = sumG;
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    const g = f32x4.mul(loadPart(dy + at, n), loadPart(weight + at, n));
    sumG = f32x4.add(sumG, g);
    sumGHat = fma(g, f32x4.mul(f32x4.sub(loadPart(x + at, n), m), r), sumGHat);
  }
  const meanG = f32x4.splat(sumLanes(sumG) / <f32>C), meanGHat = f32x4.splat(sumLanes(sumGHat) / <f32>C);
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    const d = loadPart(dy + at, n), hat = f32x4.mul(f32x4.sub(loadPart(x + at, n), m), r);
    storePart(dWeight + at, fma(d, hat, loadPart(dWeight + at, n)), n);
    storePart(dBias + at, f32x4.add(loadPart(dBias + at, n), d), n);
    const g = f32x4.sub(f32x4.mul(d, loadPart(weight + at, n)), meanG);
    storePart(dx + at, f32x4.mul(r, f32x4.sub(g, f32x4.mul(hat, meanGHat))), n);
  }
}

/**
 * dx, and for each GRAD_ROWS rows their sums [dWeight, dBias], 2 C floats, in the workspace.
 * Fields: x, weight, mean, rstd, dy, dx, sums, rows, C.
 */
export function layerNormGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), mean = addressAt(p, 3), rstd = addressAt(p, 4);
  const dy = addressAt(p, 5), dx = addressAt(p, 6), rows = intAt(p, 8), C = intAt(p, 9);
  const chunks = (rows + GRAD_ROWS - 1) / GRAD_ROWS, end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const sums = addressAt(p, 7) + (<usize>(k * 2 * C) << 2);
    fillFloats(sums, 0, 2 * C);
    for (let t = k * GRAD_ROWS; t < min(rows, (k + 1) * GRAD_ROWS); t++) {
      const at = <usize>(t * C) << 2;
      const m = load<f32>(mean + (<usize>t << 2)), r = load<f32>(rstd + (<usize>t << 2));
      layerNormGradRow(x + at, weight, dy + at, dx + at, sums, sums + (<usize>C << 2), C, m, r);
    }
  }
}

/** Adds up the workspace's rows to dWeight or dBias. Fields: sums, floats between its rows, gradient, rows, C. */
export function normWeightGrad(p: usize, thread: i32, threads: i32): void {
  const sums = addressAt(p, 1), step = <usize>intAt(p, 2) << 2, y = addressAt(p, 3), C = intAt(p, 5);
  const chunks = (intAt(p, 4) + GRAD_ROWS - 1) / GRAD_ROWS;
  const end = shareStart(C, STRIP, thread + 1, threads);
  for (let c = shareStart(C, STRIP, thread, threads); c < end; c += STRIP)
    sumColumns(sums + (<usize>c << 2), step, chunks, y + (<usize>c << 2), min(STRIP, C - c));
}

/** y = x · rstd · weight for one row of C; rstd goes to its address. */
export function rmsNormRow(x: usize, weight: usize, y: usize, rstd: usize, C: i32, eps: f32): void {
  let squares = f32x4.splat(0);
  for (let c = 0; c < C; c += 4) {
    const v = loadPart(x + (<usize>c << 2), C - c);
    squares = fma(v, v, squares);
  }
  const r: f32 = 1.0 / sqrt<f32>(sumLanes(squares) / <f32>C + eps), r4 = f32x4.splat(r);
  store<f32>(rstd, r);
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    storePart(y + at, f32x4.mul(f32x4.mul(loadPart(x + at, n), r4), loadPart(weight + at, n)), n);
  }
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

/** dx = rstd · (dy · weight − hat · Σ(dy · weight · hat) / C) for one row, hat = x · rstd; dWeight += dy · hat. */
export function rmsNormGradRow(
  x: usize, weight: usize, dy: usize, dx: usize, dWeight: usize, C: i32, rstd: f32,
): void {
  const r = f32x4.splat(rstd);
  let total = f32x4.splat(0);
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    const g = f32x4.mul(loadPart(dy + at, n), loadPart(weight + at, n));
    total = fma(g, f32x4.mul(loadPart(x + at, n), r), total);
  }
  const meanGHat = f32x4.splat(sumLanes(total) / <f32>C);
  for (let c = 0; c < C; c += 4) {
    const at = <usize>c << 2, n = C - c;
    const d = loadPart(dy + at, n), hat = f32x4.mul(loadPart(x + at, n), r);
    storePart(dWeight + at, fma(d, hat, loadPart(dWeight + at, n)), n);
    const g = f32x4.mul(d, loadPart(weight + at, n));
    storePart(dx + at, f32x4.mul(r, f32x4.sub(g, f32x4.mul(hat, meanGHat))), n);
  }
}

/** dx, and for each GRAD_ROWS rows their dWeight [C] in the workspace. Fields: x, weight, rstd, dy, dx, sums, rows, C. */
export function rmsNormGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), weight = addressAt(p, 2), rstd = addressAt(p, 3);
  const dy = addressAt(p, 4), dx = addressAt(p, 5), rows = intAt(p, 7), C = intAt(p, 8);
  const chunks = (rows + GRAD_ROWS - 1) / GRAD_ROWS, end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const sums = addressAt(p, 6) + (<usize>(k * C) << 2);
    fillFloats(sums, 0, C);
    for (let t = k * GRAD_ROWS; t < min(rows, (k + 1) * GRAD_ROWS); t++) {
      const at = <usize>(t * C) << 2;
      rmsNormGradRow(x + at, weight, dy + at, dx + at, sums, C, load<f32>(rstd + (<usize>t << 2)));
    }
  }
}
