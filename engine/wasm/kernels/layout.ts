// Ops that move numbers without computing: fill, copy, transpose, split, concat.
import { addressAt, floatAt, intAt, shareStart } from './record';
import { CHUNK, copyFloats, fillFloats } from './lanes';

/** Fields: y, elements, value. */
export function fill(p: usize, thread: i32, threads: i32): void {
  const y = addressAt(p, 1), n = intAt(p, 2), value = floatAt(p, 3);
  const start = shareStart(n, 16, thread, threads), end = shareStart(n, 16, thread + 1, threads);
  // memset goes past the caches for large stretches: twice as fast as stores.
  if (intAt(p, 3) == 0) memory.fill(y + (<usize>start << 2), 0, <usize>(end - start) << 2);
  else
    for (let i = start; i < end; i += CHUNK) fillFloats(y + (<usize>i << 2), value, min(CHUNK, end - i));
}

/** Fields: x, y, elements. */
export function copy(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), n = intAt(p, 3);
  const end = shareStart(n, 16, thread + 1, threads);
  for (let i = shareStart(n, 16, thread, threads); i < end; i += CHUNK)
    copyFloats(x + (<usize>i << 2), y + (<usize>i << 2), min(CHUNK, end - i));
}

// Rows of y that one unit of a transpose writes: a cache line of x.
const TILE: i32 = 16;

/** y [columns, rows] = xᵀ; x's rows are xStep bytes apart, y's yStep. */
export function transposeTile(x: usize, xStep: usize, y: usize, yStep: usize, rows: i32, columns: i32): void {
  let r = 0;
  for (; r + 4 <= rows; r += 4) {
    let from = x, to = y, c = 0;
    for (; c + 4 <= columns; c += 4) {
      const a = v128.load(from), b = v128.load(from + xStep);
      const d = v128.load(from + 2 * xStep), e = v128.load(from + 3 * xStep);
      const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5), de0 = v128.shuffle<f32>(d, e, 0, 4, 1, 5);
      const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7), de2 = v128.shuffle<f32>(d, e, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f32>(ab0, de0, 0, 1, 4, 5));
      v128.store(to + yStep, v128.shuffle<f32>(ab0, de0, 2, 3, 6, 7));
      v128.store(to + 2 * yStep, v128.shuffle<f32>(ab2, de2, 0, 1, 4, 5));
      v128.store(to + 3 * yStep, v128.shuffle<f32>(ab2, de2, 2, 3, 6, 7));
      from += 16; to += 4 * yStep;
    }
    for (; c < columns; c++) {
      for (let i = 0; i < 4; i++) store<i32>(to + (<usize>i << 2), load<i32>(from + <usize>i * xStep));
      from += 4; to += yStep;
    }
    x += 4 * xStep; y += 16;
  }
  for (; r < rows; r++) {
    let to = y;
    for (let c = 0; c < columns; c++) {
      store<i32>(to, load<i32>(x + (<usize>c << 2)));
      to += yStep;
    }
    x += xStep; y += 4;
  }
}

/** y = every step-th element of x. */
export function gatherFloats(x: usize, y: usize, n: i32, step: i32): void {
  const bytes = <usize>step << 2;
  for (; n > 0; n--) {
    store<i32>(y, load<i32>(x));
    x += bytes; y += 4;
  }
}

/**
 * y [d0, d1, d2, n] from x with a step (in elements) for each dimension. Where the last step is 1, rows are copied;
 * where the one before is, x is read in tiles of [n, 16] (lower/layout.ts merges neighbouring dimensions).
 * Fields: x, y, d0, d1, d2, n, the four steps.
 */
export function transpose(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2);
  const d0 = intAt(p, 3), d1 = intAt(p, 4), d2 = intAt(p, 5), n = intAt(p, 6);
  const s0 = intAt(p, 7), s1 = intAt(p, 8), s2 = intAt(p, 9), s3 = intAt(p, 10);
  const tiled = s2 == 1 && s3 != 1;
  // A unit is `step` rows of y, CHUNK of each.
  const step = tiled ? TILE : 1, tiles = (d2 + step - 1) / step, chunks = (n + CHUNK - 1) / CHUNK;
  const units = d0 * d1 * tiles * chunks, end = shareStart(units, 1, thread + 1, threads);
  for (let u = shareStart(units, 1, thread, threads); u < end; u++) {
    const tile = u / chunks, l = (u - tile * chunks) * CHUNK;
    const ij = tile / tiles, k = (tile - ij * tiles) * step, i = ij / d1, j = ij - i * d1;
    const from = x + (<usize>(i * s0 + j * s1 + k * s2 + l * s3) << 2);
    const to = y + (<usize>((ij * d2 + k) * n + l) << 2), count = min(CHUNK, n - l);
    if (tiled) transposeTile(from, <usize>s3 << 2, to, <usize>n << 2, count, min(TILE, d2 - k));
    else if (s3 == 1) copyFloats(from, to, count);
    else gatherFloats(from, to, count, s3);
  }
}

/** Copies between [rows, width] and parts that lie side by side in it. Fields: as split's. */
@inline function copyParts(p: usize, thread: i32, threads: i32, join: bool): void {
  const whole = addressAt(p, 1), width = intAt(p, 2), rows = intAt(p, 3), parts = intAt(p, 4);
  const start = shareStart(rows, 1, thread, threads), end = shareStart(rows, 1, thread + 1, threads);
  let column = 0;
  for (let k = 0; k < parts; k++) {
    const part = addressAt(p, 5 + 2 * k), n = intAt(p, 6 + 2 * k);
    for (let i = start; i < end; i++) {
      const inWhole = whole + (<usize>(i * width + column) << 2), inPart = part + (<usize>(i * n) << 2);
      if (join) copyFloats(inPart, inWhole, n);
      else copyFloats(inWhole, inPart, n);
    }
    column += n;
  }
}

/** Fields: x, its width, rows, number of parts; then address and width of each part. */
export function split(p: usize, thread: i32, threads: i32): void { copyParts(p, thread, threads, false); }

/** Fields: y, its width, rows, number of parts; then address and width of each part. */
export function concat(p: usize, thread: i32, threads: i32): void { copyParts(p, thread, threads, true); }
