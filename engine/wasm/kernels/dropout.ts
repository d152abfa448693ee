// Dropout with the counter hash of uniformAt (engine/ops/dropout.ts), so that masks are the reference's.
import { addressAt, floatAt, intAt, shareStart } from './record';
import { CHUNK, loadPart, storePart } from './lanes';

const MULTIPLIER = 747796405;

/** All bits set in lanes whose 24-bit hash of the counter is at least `least`. */
@inline function keep4(counter: v128, least: v128): v128 {
  let h = i32x4.mul(v128.xor(counter, i32x4.shr_u(counter, 16)), i32x4.splat(0x7feb352d));
  h = i32x4.mul(v128.xor(h, i32x4.shr_u(h, 15)), i32x4.splat(<i32>0x846ca68b));
  return i32x4.ge_s(i32x4.shr_u(v128.xor(h, i32x4.shr_u(h, 16)), 8), least);
}

/** y = x · scale, or 0 where the element's hash is below `threshold`; `state` is the first element's counter. */
export function dropoutRow(x: usize, y: usize, n: i32, state: i32, threshold: i32, scale: f32): void {
  const least = i32x4.splat(threshold), s = f32x4.splat(scale);
  let counter = i32x4.add(i32x4.splat(state), i32x4(0, MULTIPLIER, 2 * MULTIPLIER, 3 * MULTIPLIER));
  for (; n >= 4; n -= 4) {
    v128.store(y, v128.and(f32x4.mul(v128.load(x), s), keep4(counter, least)));
    counter = i32x4.add(counter, i32x4.splat(4 * MULTIPLIER));
    x += 16; y += 16;
  }
  if (n > 0) storePart(y, v128.and(f32x4.mul(loadPart(x, n), s), keep4(counter, least)), n);
}

/** Fields: x, seed, y, elements, ⌈p · 2^24⌉, salt, 1 / (1 − p). */
export function dropout(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), seed = load<i32>(addressAt(p, 2)), y = addressAt(p, 3), n = intAt(p, 4);
  const threshold = intAt(p, 5), scale = floatAt(p, 7);
  const base = seed * 277803737 + intAt(p, 6) * <i32>0x9e3779b9;
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    dropoutRow(x + at, y + at, min(CHUNK, end - i), base + i * MULTIPLIER, threshold, scale);
  }
}
