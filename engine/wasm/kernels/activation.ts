// GELU in its tanh form and SwiGLU, with their gradients.
import { addressAt, fma, intAt, shareStart } from './record';
import { CHUNK, loadPart, storePart } from './lanes';
import { sigmoid4 } from './math';

// ½ (1 + tanh u) = σ(2u), so with 2u = x · (A + B · x²): gelu(x) = x · σ(2u), and no digits are lost for negative x.
const A: f32 = 1.5957691216057308;
const B: f32 = 0.07135481282052607;

@inline function gelu4(x: v128): v128 {
  const twice = f32x4.mul(x, fma(f32x4.mul(x, x), f32x4.splat(B), f32x4.splat(A)));
  return f32x4.mul(x, sigmoid4(twice));
}

/** d gelu / dx = s + x · s · (1 − s) · (A + 3 B · x²) with s = σ(2u). */
@inline function geluSlope4(x: v128): v128 {
  const x2 = f32x4.mul(x, x);
  const s = sigmoid4(f32x4.mul(x, fma(x2, f32x4.splat(B), f32x4.splat(A))));
  const inner = f32x4.mul(x, fma(x2, f32x4.splat(3 * B), f32x4.splat(A)));
  return fma(f32x4.mul(s, f32x4.sub(f32x4.splat(1), s)), inner, s);
}

export function geluRow(x: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = gelu4(v128.load(x)), b = gelu4(v128.load(x, 16));
    const c = gelu4(v128.load(x, 32)), d = gelu4(v128.load(x, 48));
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, gelu4(loadPart(x, n)), n);
    x += 16; y += 16;
  }
}

/** Fields: x, y, elements. */
export function gelu(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), n = intAt(p, 3);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK)
    geluRow(x + (<usize>i << 2), y + (<usize>i << 2), min(CHUNK, end - i));
}

export function geluGradRow(x: usize, dy: usize, dx: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = f32x4.mul(geluSlope4(v128.load(x)), v128.load(dy));
    const b = f32x4.mul(geluSlope4(v128.load(x, 16)), v128.load(dy, 16));
    const c = f32x4.mul(geluSlope4(v128.load(x, 32)), v128.load(dy, 32));
    const d = f32x4.mul(geluSlope4(v128.load(x, 48)), v128.load(dy, 48));
    v128.store(dx, a); v128.store(dx, b, 16); v128.store(dx, c, 32); v128.store(dx, d, 48);
    x += 64; dy += 64; dx += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(dx, f32x4.mul(geluSlope4(loadPart(x, n)), loadPart(dy, n)), n);
    x += 16; dy += 16; dx += 16;
  }
}

/** Fields: x, dy, dx, elements. */
export function geluGrad(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), dy = addressAt(p, 2), dx = addressAt(p, 3), n = intAt(p, 4);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    geluGradRow(x + at, dy + at, dx + at, min(CHUNK, end - i));
  }
}

/** gate · σ(gate) · up. */
@inline function swiglu4(gate: v128, up: v128): v128 {
  return f32x4.mul(f32x4.mul(gate, sigmoid4(gate)), up);
}

export function swigluRow(gate: usize, up: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = swiglu4(v128.load(gate), v128.load(up)), b = swiglu4(v128.load(gate, 16), v128.load(up, 16));
    const c = swiglu4(v128.load(gate, 32), v128.load(up, 32)), d = swiglu4(v128.load(gate, 48), v128.load(up, 48));
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    gate += 64; up += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, swiglu4(loadPart(gate, n), loadPart(up, n)), n);
    gate += 16; up += 16; y += 16;
  }
}

/** Fields: gate, up, y, elements. */
export function swiglu(p: usize, thread: i32, threads: i32): void {
  const gate = addressAt(p, 1), up = addressAt(p, 2), y = addressAt(p, 3), n = intAt(p, 4);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    swigluRow(gate + at, up + at, y + at, min(CHUNK, end - i));
  }
}

/** dGate = dy · up · s · (1 + gate · (1 − s)) and dUp = dy · gate · s with s = σ(gate). */
@inline function swigluGrad4(g: v128, u: v128, d: v128, s: v128, dGate: usize, dUp: usize, n: i32): void {
  const one = f32x4.splat(1), ds = f32x4.mul(d, s);
  storePart(dGate, f32x4.mul(f32x4.mul(ds, u), fma(g, f32x4.sub(one, s), one)), n);
  storePart(dUp, f32x4.mul(ds, g), n);
}

export function swigluGradRow(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const g0 = v128.load(gate), g1 = v128.load(gate, 16), g2 = v128.load(gate, 32), g3 = v128.load(gate, 48);
    const s0 = sigmoid4(g0), s1 = sigmoid4(g1), s2 = sigmoid4(g2), s3 = sigmoid4(g3);
    swigluGrad4(g0, v128.load(up), v128.load(dy), s0, dGate, dUp, 4);
    swigluGrad4(g1, v128.load(up, 16), v128.load(dy, 16), s1, dGate + 16, dUp + 16, 4);
    swigluGrad4(g2, v128.load(up, 32), v128.load(dy, 32), s2, dGate + 32, dUp + 32, 4);
    swigluGrad4(g3, v128.load(up, 48), v128.load(dy, 48), s3, dGate + 48, dUp + 48, 4);
    gate += 64; up += 64; dy += 64; dGate += 64; dUp += 64;
  }
  for (; n > 0; n -= 4) {
    const g = loadPart(gate, n);
    swigluGrad4(g, loadPart(up, n), loadPart(dy, n), sigmoid4(g), dGate, dUp, n);
    gate += 16; up += 16; dy += 16; dGate += 16; dUp += 16;
  }
}

/** Fields: gate, up, dy, dGate, dUp, elements; the outputs may be any of the inputs. */
export function swigluGrad(p: usize, thread: i32, threads: i32): void {
  const gate = addressAt(p, 1), up = addressAt(p, 2), dy = addressAt(p, 3);
  const dGate = addressAt(p, 4), dUp = addressAt(p, 5), n = intAt(p, 6);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    swigluGradRow(gate + at, up + at, dy + at, dGate + at, dUp + at, min(CHUNK, end - i));
  }
}
