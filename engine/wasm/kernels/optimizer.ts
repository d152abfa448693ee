// Optimizer updates as PyTorch computes them, each in one pass over parameter, gradient and moments; and the norm of
// all gradients. The hyper-parameters are f32 [9] in memory (HYPER_FIELDS of engine/ops/optimizer.ts). Moments in bf16
// are rounded at random (MomentType there).
import { addressAt, fma, intAt, shareStart } from './record';
import { loadBf16, storeBf16 } from './bfloat16';
import { counters4, hash4, nextCounters } from './counterHash';
import { CHUNK, loadPart, storePart } from './lanes';
import { sumSquares } from './reduce';

const LEARNING_RATE = 0, WEIGHT_DECAY = 1, BETA1 = 2, BETA2 = 3, EPSILON = 4;
const CORRECTION1 = 5, CORRECTION2 = 6, ALPHA = 7, ROUNDING_SEED = 8;

@inline function hyperAt(hyper: usize, field: i32): f64 { return <f64>load<f32>(hyper + (<usize>field << 2)); }
@inline function splat(x: f64): v128 { return f32x4.splat(<f32>x); }

/** Counters for the random bits of four elements from i on. */
@inline function roundingCounters(hyper: usize, i: i32): v128 {
  return counters4(i, <i32>hyperAt(hyper, ROUNDING_SEED), 0);
}
@inline function loadMoment(x: usize, n: i32, bf16: bool): v128 { return bf16 ? loadBf16(x, n) : loadPart(x, n); }
@inline function storeMoment(y: usize, v: v128, n: i32, bf16: bool, random: v128): void {
  if (bf16) storeBf16(y, v, n, random);
  else storePart(y, v, n);
}
@inline function lower16(random: v128): v128 { return v128.and(random, i32x4.splat(0xffff)); }

@inline function adamw4(
  param: usize, grad: usize, m: usize, v: usize, newParam: usize, newM: usize, newV: usize, n: i32,
  bf16: bool, counter: v128,
  scale: v128, beta1: v128, rest1: v128, beta2: v128, rest2: v128, kept: v128, step: v128, root: v128, epsilon: v128,
): void {
  const g = f32x4.mul(loadPart(grad, n), scale);
  const m1 = fma(beta1, loadMoment(m, n, bf16), f32x4.mul(rest1, g));
  const v1 = fma(beta2, loadMoment(v, n, bf16), f32x4.mul(f32x4.mul(rest2, g), g));
  const update = f32x4.div(f32x4.mul(step, m1), fma(f32x4.sqrt(v1), root, epsilon));
  const random = hash4(counter);
  storeMoment(newM, m1, n, bf16, lower16(random));
  storeMoment(newV, v1, n, bf16, i32x4.shr_u(random, 16));
  storePart(newParam, f32x4.sub(f32x4.mul(loadPart(param, n), kept), update), n);
}

/** AdamW (Loshchilov & Hutter, arXiv 1711.05101) of n elements from element i on; fields as adamw's. */
@inline function adamwSpan(p: usize, i: i32, n: i32, bf16: bool): void {
  const at = <usize>i << 2, hyper = addressAt(p, 5), rate = hyperAt(hyper, LEARNING_RATE);
  const momentAt = bf16 ? at >> 1 : at, momentStep: usize = bf16 ? 8 : 16;
  let param = addressAt(p, 1) + at, grad = addressAt(p, 2) + at;
  let m = addressAt(p, 3) + momentAt, v = addressAt(p, 4) + momentAt;
  let newParam = addressAt(p, 7) + at, newM = addressAt(p, 8) + momentAt, newV = addressAt(p, 9) + momentAt;
  let counter = roundingCounters(hyper, i);
  const scale = v128.load32_splat(addressAt(p, 6));
  const b1 = splat(hyperAt(hyper, BETA1)), r1 = splat(1 - hyperAt(hyper, BETA1));
  const b2 = splat(hyperAt(hyper, BETA2)), r2 = splat(1 - hyperAt(hyper, BETA2));
  const kept = splat(intAt(p, 11) ? 1 - rate * hyperAt(hyper, WEIGHT_DECAY) : 1);
  const step = splat(rate / hyperAt(hyper, CORRECTION1));
  const root = splat(1 / sqrt<f64>(hyperAt(hyper, CORRECTION2))), epsilon = splat(hyperAt(hyper, EPSILON));
  for (; n >= 4; n -= 4) {
    adamw4(
      param, grad, m, v, newParam, newM, newV, 4, bf16, counter, scale, b1, r1, b2, r2, kept, step, root, epsilon,
    );
    param += 16; grad += 16; m += momentStep; v += momentStep;
    newParam += 16; newM += momentStep; newV += momentStep;
    counter = nextCounters(counter);
  }
  if (n > 0) {
    adamw4(
      param, grad, m, v, newParam, newM, newV, n, bf16, counter, scale, b1, r1, b2, r2, kept, step, root, epsilon,
    );
  }
}

export function adamwRow(p: usize, i: i32, n: i32): void { adamwSpan(p, i, n, false); }
export function adamwBf16Row(p: usize, i: i32, n: i32): void { adamwSpan(p, i, n, true); }

/** Fields: param, grad, m, v, hyper, gradScale, new param, new m, new v, elements, decay. */
export function adamw(p: usize, thread: i32, threads: i32): void {
  const n = intAt(p, 10), end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) adamwRow(p, i, min(CHUNK, end - i));
}

/** With moments in bf16. */
export function adamwBf16(p: usize, thread: i32, threads: i32): void {
  const n = intAt(p, 10), end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) adamwBf16Row(p, i, min(CHUNK, end - i));
}

@inline function rmsprop4(
  param: usize, grad: usize, v: usize, newParam: usize, newV: usize, n: i32, bf16: bool, counter: v128,
  scale: v128, decay: v128, alpha: v128, rest: v128, rate: v128, epsilon: v128,
): void {
  const old = loadPart(param, n), d = fma(decay, old, f32x4.mul(loadPart(grad, n), scale));
  const v1 = fma(alpha, loadMoment(v, n, bf16), f32x4.mul(f32x4.mul(rest, d), d));
  storeMoment(newV, v1, n, bf16, lower16(hash4(counter)));
  storePart(newParam, f32x4.sub(old, f32x4.div(f32x4.mul(rate, d), f32x4.add(f32x4.sqrt(v1), epsilon))), n);
}

/** RMSprop without momentum; the weight decay is added to the gradient. Fields as rmsprop's. */
@inline function rmspropSpan(p: usize, i: i32, n: i32, bf16: bool): void {
  const at = <usize>i << 2, hyper = addressAt(p, 4);
  const momentAt = bf16 ? at >> 1 : at, momentStep: usize = bf16 ? 8 : 16;
  let param = addressAt(p, 1) + at, grad = addressAt(p, 2) + at, v = addressAt(p, 3) + momentAt;
  let newParam = addressAt(p, 6) + at, newV = addressAt(p, 7) + momentAt;
  let counter = roundingCounters(hyper, i);
  const scale = v128.load32_splat(addressAt(p, 5)), rate = splat(hyperAt(hyper, LEARNING_RATE));
  const decay = splat(intAt(p, 9) ? hyperAt(hyper, WEIGHT_DECAY) : 0), epsilon = splat(hyperAt(hyper, EPSILON));
  const alpha = splat(hyperAt(hyper, ALPHA)), rest = splat(1 - hyperAt(hyper, ALPHA));
  for (; n >= 4; n -= 4) {
    rmsprop4(param, grad, v, newParam, newV, 4, bf16, counter, scale, decay, alpha, rest, rate, epsilon);
    param += 16; grad += 16; v += momentStep;
    newParam += 16; newV += momentStep;
    counter = nextCounters(counter);
  }
  if (n > 0) rmsprop4(param, grad, v, newParam, newV, n, bf16, counter, scale, decay, alpha, rest, rate, epsilon);
}

export function rmspropRow(p: usize, i: i32, n: i32): void { rmspropSpan(p, i, n, false); }
export function rmspropBf16Row(p: usize, i: i32, n: i32): void { rmspropSpan(p, i, n, true); }

/** Fields: param, grad, v, hyper, gradScale, new param, new v, elements, decay. */
export function rmsprop(p: usize, thread: i32, threads: i32): void {
  const n = intAt(p, 8), end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) rmspropRow(p, i, min(CHUNK, end - i));
}

/** With its moment in bf16. */
export function rmspropBf16(p: usize, thread: i32, threads: i32): void {
  const n = intAt(p, 8), end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) rmspropBf16Row(p, i, min(CHUNK, end - i));
}

@inline function sgd4(param: usize, grad: usize, newParam: usize, n: i32, scale: v128, decay: v128, rate: v128): void {
  const old = loadPart(param, n), d = fma(decay, old, f32x4.mul(loadPart(grad, n), scale));
  storePart(newParam, f32x4.sub(old, f32x4.mul(rate, d)), n);
}

/** Plain gradient descent; the weight decay is added to the gradient. Fields as sgd's. */
export function sgdRow(p: usize, i: i32, n: i32): void {
  const at = <usize>i << 2, hyper = addressAt(p, 3);
  let param = addressAt(p, 1) + at, grad = addressAt(p, 2) + at, newParam = addressAt(p, 5) + at;
  const scale = v128.load32_splat(addressAt(p, 4)), rate = splat(hyperAt(hyper, LEARNING_RATE));
  const decay = splat(intAt(p, 7) ? hyperAt(hyper, WEIGHT_DECAY) : 0);
  for (; n >= 4; n -= 4) {
    sgd4(param, grad, newParam, 4, scale, decay, rate);
    param += 16; grad += 16; newParam += 16;
  }
  if (n > 0) sgd4(param, grad, newParam, n, scale, decay, rate);
}

/** Fields: param, grad, hyper, gradScale, new param, elements, decay. */
export function sgd(p: usize, thread: i32, threads: i32): void {
  const n = intAt(p, 6), end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) sgdRow(p, i, min(CHUNK, end - i));
}

// Elements whose squares are added in float32.
const PIECE: i32 = 512;

/** Σx² of each CHUNK of one tensor, as f64; zeros for chunks past its true rows. Fields: x, sums, elements, chunks. */
export function globalNormChunks(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), sums = addressAt(p, 2), n = intAt(p, 3), chunks = intAt(p, 4);
  const end = shareStart(chunks, 1, thread + 1, threads);
  for (let k = shareStart(chunks, 1, thread, threads); k < end; k++) {
    const stop = min(n, (k + 1) * CHUNK);
    let total: f64 = 0;
    for (let i = k * CHUNK; i < stop; i += PIECE) total += sumSquares(x + (<usize>i << 2), min(PIECE, stop - i));
    store<f64>(sums + (<usize>k << 3), total);
  }
}

/** √ of the sum of all chunks of all tensors. Fields: sums, their number, y. */
export function globalNorm(p: usize, thread: i32, threads: i32): void {
  if (thread != 0) return;
  const sums = addressAt(p, 1), chunks = intAt(p, 2);
  let total: f64 = 0;
  for (let k = 0; k < chunks; k++) total += load<f64>(sums + (<usize>k << 3));
  store<f32>(addressAt(p, 3), <f32>sqrt<f64>(total));
}
