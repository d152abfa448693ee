// Rotary position embedding, half-split pairs (d, d + headDim/2) (Su et al., arXiv 2104.09864).
import { addressAt, floatAt, fma, intAt, shareStart } from './record';
import { loadPart, storePart } from './lanes';

/** (a, b) → (a · cos − b · sin, b · cos + a · sin) in n lanes of every head; a and b are `half` bytes apart. */
@inline function rotateHeads(x: usize, y: usize, c: v128, s: v128, heads: i32, half: usize, n: i32): void {
  for (let h = 0; h < heads; h++) {
    const a = loadPart(x, n), b = loadPart(x + half, n);
    storePart(y, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)), n);
    storePart(y + half, fma(a, s, f32x4.mul(b, c)), n);
    x += 2 * half; y += 2 * half;
  }
}

/** One row of heads; sign −1 turns back. y may be x. */
export function ropeRow(x: usize, y: usize, cos: usize, sin: usize, heads: i32, half: i32, sign: f32): void {
  const s = f32x4.splat(sign), bytes = <usize>half << 2;
  for (; half >= 4; half -= 4) {
    rotateHeads(x, y, v128.load(cos), f32x4.mul(v128.load(sin), s), heads, bytes, 4);
    x += 16; y += 16; cos += 16; sin += 16;
  }
  if (half > 0) rotateHeads(x, y, loadPart(cos, half), f32x4.mul(loadPart(sin, half), s), heads, bytes, half);
}

/** Fields: x, positions, cos, sin, y, rows, heads, headDim / 2, sign. */
export function rope(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), positions = addressAt(p, 2), cos = addressAt(p, 3), sin = addressAt(p, 4);
  const y = addressAt(p, 5), rows = intAt(p, 6), heads = intAt(p, 7), half = intAt(p, 8), sign = floatAt(p, 9);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let t = shareStart(rows, 1, thread, threads); t < end; t++) {
    const angle = <usize>(intAt(positions, t) * half) << 2, row = <usize>(t * heads * half * 2) << 2;
    ropeRow(x + row, y + row, cos + angle, sin + angle, heads, half, sign);
  }
}
