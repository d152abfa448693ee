// Ops on each element: one operand (unary, affine), or two that are broadcast to each other (binary).
import { addressAt, floatAt, fma, intAt, shareStart } from './record';
import { CHUNK, loadPart, storePart } from './lanes';
import { exp4, log1p4, log4, sigmoid4, tanh4 } from './math';

// The order is that of lower/elementwise.ts.
const NEG = 0, EXP = 1, LOG = 2, SQRT = 3, SQUARE = 4, ABS = 5, RELU = 6, SIGMOID = 7, TANH = 8;
const ADD = 0, SUB = 1, MUL = 2, DIV = 3, MAXIMUM = 4, MINIMUM = 5;

/** log σ(x) = min(x, 0) − ln(1 + e^−|x|). */
@inline function logSigmoid4(x: v128): v128 {
  return f32x4.sub(f32x4.min(x, f32x4.splat(0)), log1p4(exp4(f32x4.neg(f32x4.abs(x)))));
}

/** `op` is a constant where this is inlined, so one branch is left. */
@inline function unaryOf(op: i32, x: v128): v128 {
  if (op == NEG) return f32x4.neg(x);
  if (op == EXP) return exp4(x);
  if (op == LOG) return log4(x);
  if (op == SQRT) return f32x4.sqrt(x);
  if (op == SQUARE) return f32x4.mul(x, x);
  if (op == ABS) return f32x4.abs(x);
  if (op == RELU) return f32x4.pmax(x, f32x4.splat(0));
  if (op == SIGMOID) return sigmoid4(x);
  if (op == TANH) return tanh4(x);
  return logSigmoid4(x);
}

@inline function unaryRow(op: i32, x: usize, y: usize, n: i32): void {
  for (; n >= 16; n -= 16) {
    const a = unaryOf(op, v128.load(x)), b = unaryOf(op, v128.load(x, 16));
    const c = unaryOf(op, v128.load(x, 32)), d = unaryOf(op, v128.load(x, 48));
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, unaryOf(op, loadPart(x, n)), n);
    x += 16; y += 16;
  }
}

export function negRow(x: usize, y: usize, n: i32): void { unaryRow(NEG, x, y, n); }
export function expRow(x: usize, y: usize, n: i32): void { unaryRow(EXP, x, y, n); }
export function logRow(x: usize, y: usize, n: i32): void { unaryRow(LOG, x, y, n); }
export function sqrtRow(x: usize, y: usize, n: i32): void { unaryRow(SQRT, x, y, n); }
export function squareRow(x: usize, y: usize, n: i32): void { unaryRow(SQUARE, x, y, n); }
export function absRow(x: usize, y: usize, n: i32): void { unaryRow(ABS, x, y, n); }
export function reluRow(x: usize, y: usize, n: i32): void { unaryRow(RELU, x, y, n); }
export function sigmoidRow(x: usize, y: usize, n: i32): void { unaryRow(SIGMOID, x, y, n); }
export function tanhRow(x: usize, y: usize, n: i32): void { unaryRow(TANH, x, y, n); }
export function logSigmoidRow(x: usize, y: usize, n: i32): void { unaryRow(TANH + 1, x, y, n); }

/** Fields: op, x, y, elements. */
export function unary(p: usize, thread: i32, threads: i32): void {
  const op = intAt(p, 1), x = addressAt(p, 2), y = addressAt(p, 3), n = intAt(p, 4);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const from = x + (<usize>i << 2), to = y + (<usize>i << 2), count = min(CHUNK, end - i);
    if (op == NEG) negRow(from, to, count);
    else if (op == EXP) expRow(from, to, count);
    else if (op == LOG) logRow(from, to, count);
    else if (op == SQRT) sqrtRow(from, to, count);
    else if (op == SQUARE) squareRow(from, to, count);
    else if (op == ABS) absRow(from, to, count);
    else if (op == RELU) reluRow(from, to, count);
    else if (op == SIGMOID) sigmoidRow(from, to, count);
    else if (op == TANH) tanhRow(from, to, count);
    else logSigmoidRow(from, to, count);
  }
}

/** y = scale · x + shift. */
export function affineRow(x: usize, y: usize, n: i32, scale: f32, shift: f32): void {
  const s = f32x4.splat(scale), t = f32x4.splat(shift);
  for (; n >= 16; n -= 16) {
    const a = fma(v128.load(x), s, t), b = fma(v128.load(x, 16), s, t);
    const c = fma(v128.load(x, 32), s, t), d = fma(v128.load(x, 48), s, t);
    v128.store(y, a); v128.store(y, b, 16); v128.store(y, c, 32); v128.store(y, d, 48);
    x += 64; y += 64;
  }
  for (; n > 0; n -= 4) {
    storePart(y, fma(loadPart(x, n), s, t), n);
    x += 16; y += 16;
  }
}

/** Fields: x, y, elements, scale, shift. */
export function affine(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), n = intAt(p, 3), scale = floatAt(p, 4), shift = floatAt(p, 5);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK)
    affineRow(x + (<usize>i << 2), y + (<usize>i << 2), min(CHUNK, end - i), scale, shift);
}

@inline function binaryOf(op: i32, a: v128, b: v128): v128 {
  if (op == ADD) return f32x4.add(a, b);
  if (op == SUB) return f32x4.sub(a, b);
  if (op == MUL) return f32x4.mul(a, b);
  if (op == DIV) return f32x4.div(a, b);
  if (op == MAXIMUM) return f32x4.max(a, b);
  if (op == MINIMUM) return f32x4.min(a, b);
  return v128.and(f32x4.gt(a, b), f32x4.splat(1));
}

/** A row of n outputs; an operand whose step is 0 is one number for the whole row. */
@inline function binaryRow(op: i32, a: usize, b: usize, y: usize, n: i32, aStep: i32, bStep: i32): void {
  if (bStep == 0) {
    const right = v128.load32_splat(b);
    for (; n >= 16; n -= 16) {
      const r0 = binaryOf(op, v128.load(a), right), r1 = binaryOf(op, v128.load(a, 16), right);
      const r2 = binaryOf(op, v128.load(a, 32), right), r3 = binaryOf(op, v128.load(a, 48), right);
      v128.store(y, r0); v128.store(y, r1, 16); v128.store(y, r2, 32); v128.store(y, r3, 48);
      a += 64; y += 64;
    }
    for (; n > 0; n -= 4) {
      storePart(y, binaryOf(op, loadPart(a, n), right), n);
      a += 16; y += 16;
    }
  } else if (aStep == 0) {
    const left = v128.load32_splat(a);
    for (; n >= 16; n -= 16) {
      const r0 = binaryOf(op, left, v128.load(b)), r1 = binaryOf(op, left, v128.load(b, 16));
      const r2 = binaryOf(op, left, v128.load(b, 32)), r3 = binaryOf(op, left, v128.load(b, 48));
      v128.store(y, r0); v128.store(y, r1, 16); v128.store(y, r2, 32); v128.store(y, r3, 48);
      b += 64; y += 64;
    }
    for (; n > 0; n -= 4) {
      storePart(y, binaryOf(op, left, loadPart(b, n)), n);
      b += 16; y += 16;
    }
  } else {
    for (; n >= 16; n -= 16) {
      const r0 = binaryOf(op, v128.load(a), v128.load(b));
      const r1 = binaryOf(op, v128.load(a, 16), v128.load(b, 16));
      const r2 = binaryOf(op, v128.load(a, 32), v128.load(b, 32));
      const r3 = binaryOf(op, v128.load(a, 48), v128.load(b, 48));
      v128.store(y, r0); v128.store(y, r1, 16); v128.store(y, r2, 32); v128.store(y, r3, 48);
      a += 64; b += 64; y += 64;
    }
    for (; n > 0; n -= 4) {
      storePart(y, binaryOf(op, loadPart(a, n), loadPart(b, n)), n);
      a += 16; b += 16; y += 16;
    }
  }
}

export function addRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void { binaryRow(ADD, a, b, y, n, s, t); }
export function subRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void { binaryRow(SUB, a, b, y, n, s, t); }
export function mulRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void { binaryRow(MUL, a, b, y, n, s, t); }
export function divRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void { binaryRow(DIV, a, b, y, n, s, t); }
export function maximumRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void {
  binaryRow(MAXIMUM, a, b, y, n, s, t);
}
export function minimumRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void {
  binaryRow(MINIMUM, a, b, y, n, s, t);
}
export function greaterRow(a: usize, b: usize, y: usize, n: i32, s: i32, t: i32): void {
  binaryRow(MINIMUM + 1, a, b, y, n, s, t);
}

/**
 * y [d0, d1, d2, n] from operands with a step (in elements, 0 where broadcast) for each dimension; the last steps are
 * 0 or 1, and neighbouring dimensions are merged where they can be (lower/elementwise.ts).
 * Fields: op, a, b, y, d0, d1, d2, n, a's four steps, b's four steps.
 */
export function binary(p: usize, thread: i32, threads: i32): void {
  const op = intAt(p, 1), a = addressAt(p, 2), b = addressAt(p, 3), y = addressAt(p, 4);
  const d1 = intAt(p, 6), d2 = intAt(p, 7), n = intAt(p, 8);
  const a0 = intAt(p, 9), a1 = intAt(p, 10), a2 = intAt(p, 11), aStep = intAt(p, 12);
  const b0 = intAt(p, 13), b1 = intAt(p, 14), b2 = intAt(p, 15), bStep = intAt(p, 16);
  const rows = intAt(p, 5) * d1 * d2;
  // A unit is a row, or CHUNK of it.
  const chunks = (n + CHUNK - 1) / CHUNK;
  const units = rows * chunks, end = shareStart(units, 1, thread + 1, threads);
  for (let u = shareStart(units, 1, thread, threads); u < end; u++) {
    const row = chunks == 1 ? u : u / chunks, at = (u - row * chunks) * CHUNK;
    const i1 = row / d2, k = row - i1 * d2, i = i1 / d1, j = i1 - i * d1;
    const left = a + (<usize>(i * a0 + j * a1 + k * a2 + at * aStep) << 2);
    const right = b + (<usize>(i * b0 + j * b1 + k * b2 + at * bStep) << 2);
    const to = y + (<usize>(row * n + at) << 2), count = min(CHUNK, n - at);
    if (op == ADD) addRow(left, right, to, count, aStep, bStep);
    else if (op == SUB) subRow(left, right, to, count, aStep, bStep);
    else if (op == MUL) mulRow(left, right, to, count, aStep, bStep);
    else if (op == DIV) divRow(left, right, to, count, aStep, bStep);
    else if (op == MAXIMUM) maximumRow(left, right, to, count, aStep, bStep);
    else if (op == MINIMUM) minimumRow(left, right, to, count, aStep, bStep);
    else greaterRow(left, right, to, count, aStep, bStep);
  }
}
