// Rotary position embedding, half-split pairs (d, d + headDim/2) (Su et al., arXiv 2104.09864).
import { addressAt, floatAt, fma, intAt, shareStart } from './record';
import { loadPart, storePart } from './lanes';

/** One row of heads: (a, b) → (a · cos − b · sin, b · cos + a · sin); sign −1 turns back. y may be x. */
export function ropeRow(x: usize, y: usize, cos: usize, sin: usize, heads: i32, half: i32, sign: f32): void {
  const s4 = f32x4.splat(sign), bytes = <usize>half << 2;
  for (let d = 0; d < half; d += 4) {
    const at = <usize>d << 2, n = half - d;
    const c = loadPart(cos + at, n), s = f32x4.mul(loadPart(sin + at, n), s4);
    let from = x + at, to = y + at;
    for (let h = 0; h < heads; h++) {
      const a = loadPart(from, n), b = loadPart(from + bytes, n);
      storePart(to, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)), n);
      storePart(to + bytes, fma(a, s, f32x4.mul(b, c)), n);
      from += 2 * bytes; to += 2 * bytes;
    }
  }
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
