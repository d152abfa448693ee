// Softmax of each row of x [N, V], and its gradient.
import { addressAt, fma, intAt, shareStart } from './record';
import { laneMask, loadPart, maxLanes, storePart, sumLanes } from './lanes';
import { exp4 } from './math';

// Elements of a row whose sum is made in float32; the sums of a long row's pieces are added in float64.
const PIECE: i32 = 1024;

export function maxFloats(x: usize, n: i32): f32 {
  const least = f32x4.splat(-Infinity);
  let a = least, b = least, c = least, d = least;
  for (; n >= 16; n -= 16) {
    a = f32x4.max(a, v128.load(x)); b = f32x4.max(b, v128.load(x, 16));
    c = f32x4.max(c, v128.load(x, 32)); d = f32x4.max(d, v128.load(x, 48));
    x += 64;
  }
  for (; n > 0; n -= 4) {
    a = f32x4.max(a, v128.bitselect(loadPart(x, n), least, laneMask(n)));
    x += 16;
  }
  return maxLanes(f32x4.max(f32x4.max(a, b), f32x4.max(c, d)));
}

/** y = e^(x − max); the sum of y. */
export function expFloats(x: usize, y: usize, n: i32, max: f32): f32 {
  const m = f32x4.splat(max);
  let total = f32x4.splat(0), others = total;
  for (; n >= 16; n -= 16) {
    const a = exp4(f32x4.sub(v128.load(x), m)), b = exp4(f32x4.sub(v128.load(x, 16), m));
    const c = exp4(f32x4.sub(v128.load(x, 32), m)), d = exp4(f32x4.sub(v128.load(x, 48), m));
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    total = f32x4.add(total, f32x4.add(a, b)); others = f32x4.add(others, f32x4.add(c, d));
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    const a = exp4(f32x4.sub(loadPart(x, n), m));
    storePart(y, a, n);
    total = f32x4.add(total, v128.and(a, laneMask(n)));
    x += 16; y += 16;
  }
  return sumLanes(f32x4.add(total, others));
}

export function scaleFloats(y: usize, n: i32, scale: f32): void {
  const s = f32x4.splat(scale);
  for (; n >= 4; n -= 4) {
    v128.store(y, f32x4.mul(v128.load(y), s));
    y += 16;
  }
  if (n > 0) storePart(y, f32x4.mul(loadPart(y, n), s), n);
}

/** Fields: x, y, rows, V; y may be x. */
export function softmax(p: usize, thread: i32, threads: i32): void {
  const rows = intAt(p, 3), V = intAt(p, 4), end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++) {
    const row = <usize>(i * V) << 2, x = addressAt(p, 1) + row, y = addressAt(p, 2) + row;
    let most: f32 = -Infinity, total: f64 = 0;
    for (let v = 0; v < V; v += PIECE) most = max(most, maxFloats(x + (<usize>v << 2), min(PIECE, V - v)));
    for (let v = 0; v < V; v += PIECE) {
      const at = <usize>v << 2;
      total += expFloats(x + at, y + at, min(PIECE, V - v), most);
    }
    for (let v = 0; v < V; v += PIECE) scaleFloats(y + (<usize>v << 2), min(PIECE, V - v), <f32>(1 / total));
  }
}

/** Σ a · b. */
export function dotFloats(a: usize, b: usize, n: i32): f32 {
  let total = f32x4.splat(0), others = total;
  for (; n >= 8; n -= 8) {
    total = fma(v128.load(a), v128.load(b), total);
    others = fma(v128.load(a, 16), v128.load(b, 16), others);
    a += 32; b += 32;
  }
  for (; n > 0; n -= 4) {
    total = fma(loadPart(a, n), loadPart(b, n), total);
    a += 16; b += 16;
  }
  return sumLanes(f32x4.add(total, others));
}

/** dx = y · (dy − total); dx may be dy. */
export function softmaxGradRow(y: usize, dy: usize, dx: usize, n: i32, total: f32): void {
  const t = f32x4.splat(total);
  for (; n >= 4; n -= 4) {
    v128.store(dx, f32x4.mul(v128.load(y), f32x4.sub(v128.load(dy), t)));
    y += 16; dy += 16; dx += 16;
  }
  if (n > 0) storePart(dx, f32x4.mul(loadPart(y, n), f32x4.sub(loadPart(dy, n), t)), n);
}

/** Fields: y, dy, dx, rows, V. */
export function softmaxGrad(p: usize, thread: i32, threads: i32): void {
  const rows = intAt(p, 4), V = intAt(p, 5), end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++) {
    const row = <usize>(i * V) << 2, y = addressAt(p, 1) + row, dy = addressAt(p, 2) + row, dx = addressAt(p, 3) + row;
    let total: f64 = 0;
    for (let v = 0; v < V; v += PIECE) {
      const at = <usize>v << 2;
      total += dotFloats(y + at, dy + at, min(PIECE, V - v));
    }
    for (let v = 0; v < V; v += PIECE) {
      const at = <usize>v << 2;
      softmaxGradRow(y + at, dy + at, dx + at, min(PIECE, V - v), <f32>total);
    }
  }
}
