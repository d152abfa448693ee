// Dropout where uniformAt (engine/ops/counterHash.ts) is below p.
import { addressAt, floatAt, intAt, shareStart } from './record';
import { counters4, hash4, nextCounters } from './counterHash';
import { CHUNK, loadPart, storePart } from './lanes';

/** All bits set in lanes of which 24 bits of the counter's hash are at least `least`. */
@inline function keep4(counter: v128, least: v128): v128 {
  return i32x4.ge_s(i32x4.shr_u(hash4(counter), 8), least);
}

/** y = x · scale, or 0 where the element's hash is below `threshold`; i is the first element's index. */
export function dropoutRow(
  x: usize, y: usize, i: i32, n: i32, seed: i32, salt: i32, threshold: i32, scale: f32,
): void {
  const least = i32x4.splat(threshold), s = f32x4.splat(scale);
  let counter = counters4(i, seed, salt);
  for (; n >= 4; n -= 4) {
    v128.store(y, v128.and(f32x4.mul(v128.load(x), s), keep4(counter, least)));
    counter = nextCounters(counter);
    x += 16; y += 16;
  }
  if (n > 0) storePart(y, v128.and(f32x4.mul(loadPart(x, n), s), keep4(counter, least)), n);
}

/** Fields: x, seed, y, elements, ⌈p · 2^24⌉, salt, 1 / (1 − p). */
export function dropout(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), seed = load<i32>(addressAt(p, 2)), y = addressAt(p, 3), n = intAt(p, 4);
  const threshold = intAt(p, 5), salt = intAt(p, 6), scale = floatAt(p, 7);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK) {
    const at = <usize>i << 2;
    dropoutRow(x + at, y + at, i, min(CHUNK, end - i), seed, salt, threshold, scale);
  }
}
