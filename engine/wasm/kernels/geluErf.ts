// GELU by the normal distribution's Φ, with its gradient.
import { addressAt, fma, intAt, shareStart } from './record';
import { CHUNK, loadPart, storePart } from './lanes';
import { exp4 } from './math';

const PEAK: f32 = 0.3989422804014327; // φ(0)

/** e^(−x²/2) */
@inline function bell4(x: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5)));
}

/**
 * Φ(x), bell being e^(−x²/2): Φ(−|x|) = bell · t · P(t) with t = 1 / (1 + 0.35 |x|), relative error 3.2e-8 before
 * rounding (P fitted to ½ erfcx(|x| / √2) / t for |x| ≤ 13.5). No digits are lost for negative x.
 */
@inline function cumulative4(x: v128, bell: v128): v128 {
  const one = f32x4.splat(1), t = f32x4.div(one, fma(f32x4.abs(x), f32x4.splat(0.35), one));
  let q = f32x4.splat(-0.029125973545914143);
  q = fma(q, t, f32x4.splat(0.1438727465622107));
  q = fma(q, t, f32x4.splat(-0.25550558341894536));
  q = fma(q, t, f32x4.splat(0.15893040533465835));
  q = fma(q, t, f32x4.splat(-0.022937866349167474));
  q = fma(q, t, f32x4.splat(0.10543322573797029));
  q = fma(q, t, f32x4.splat(0.11985236965818899));
  q = fma(q, t, f32x4.splat(0.1398590907635911));
  q = fma(q, t, f32x4.splat(0.13962156937665024));
  const tail = f32x4.mul(f32x4.mul(bell, t), q);
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)));
}

@inline function geluErf4(x: v128): v128 {
  return f32x4.mul(x, cumulative4(x, bell4(x)));
}

/** d gelu / dx = Φ(x) + x · φ(x). */
@inline function geluErfSlope4(x: v128): v128 {
  const bell = bell4(x);
  return fma(f32x4.mul(x, bell), f32x4.splat(PEAK), cumulative4(x, bell));
}

export function geluErfRow(x: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = geluErf4(v128.load(x)), b = geluErf4(v128.load(x, 16));
    const c = geluErf4(v128.load(x, 32)), d = geluErf4(v128.load(x, 48));
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, geluErf4(loadPart(x, n)), n);
    x += 16; y += 16;
  }
}

/** Fields: x, y, elements. */
export function geluErf(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), n = intAt(p, 3);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK)
    geluErfRow(x + (<usize>i << 2), y + (<usize>i << 2), min(CHUNK, end - i));
}

export function geluErfGradRow(x: usize, dy: usize, dx: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = f32x4.mul(geluErfSlope4(v128.load(x)), v128.load(dy));
    const b = f32x4.mul(geluErfSlope4(v128.load(x, 16)), v128.load(dy, 16));
    const c = f32x4.mul(geluErfSlope4(v128.load(x, 32)), v128.load(dy, 32));
    const d = f32x4.mul(geluErfSlope4(v128.load(x, 48)), v128.load(dy, 48));
    v128.store(dx, a); v128.store(dx, b, 16); v128.store(dx, c, 32); v128.store(dx, d, 48);
    x += 64; dy += 64; dx += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(dx, f32x4.mul(geluErfSlope4(loadPart(x, n)), loadPart(dy, n)), n);
    x += 16; dy += 16; dx += 16;
  }
}

/** Fields: x, dy, dx, elements. */
export function geluErfGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), dy = addressAt(p, 2), dx = addressAt(p, 3), n = intAt(p, 4);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    geluErfGradRow(x + at, dy + at, dx + at, min(CHUNK, end - i));
  }
}
