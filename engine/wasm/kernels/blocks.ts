// Numbers in GGUF's blocks (engine/blocks.ts), unpacked 32 at a time and rounded where ggml rounds.

import { addressAt, intAt, shareStart } from './record';

/** The float16 at p. */
@inline function half(p: usize): f32 {
  const bits = <u32>load<u16>(p), magnitude = (bits & 0x7fff) << 13;
  // 2^112 moves float16's exponents to float32's; infinities and NaNs keep all ones.
  const x = (bits & 0x7c00) == 0x7c00
    ? reinterpret<f32>(magnitude | 0x7f800000)
    : reinterpret<f32>(magnitude) * reinterpret<f32>(0x77800000);
  return reinterpret<f32>(reinterpret<u32>(x) | ((bits & 0x8000) << 16));
}

/** to[16] = d · (q + shift) for signed bytes q. */
@inline function scale16(q: v128, shift: v128, d: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(q), high = i16x8.extend_high_i8x16_s(q);
  v128.store(to, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.add(i32x4.extend_low_i16x8_s(low), shift))));
  v128.store(to, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.add(i32x4.extend_high_i16x8_s(low), shift))), 16);
  v128.store(to, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.add(i32x4.extend_low_i16x8_s(high), shift))), 32);
  v128.store(to, f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.add(i32x4.extend_high_i16x8_s(high), shift))), 48);
}

/** to[16] = d · q + m for bytes q below 16. */
@inline function scaleAndAdd16(q: v128, d: v128, m: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(q), high = i16x8.extend_high_i8x16_s(q);
  v128.store(to, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low))), m));
  v128.store(to, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low))), m), 16);
  v128.store(to, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high))), m), 32);
  v128.store(to, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high))), m), 48);
}

/** The 16 low halves, and the 16 high halves of bytes. */
@inline function lowHalves(q: v128): v128 { return v128.and(q, i8x16.splat(15)); }
@inline function highHalves(q: v128): v128 { return i8x16.shr_u(q, 4); }

function unpackQ8_0(block: usize, to: usize): void {
  const d = f32x4.splat(half(block)), none = i32x4.splat(0);
  scale16(v128.load(block, 2), none, d, to);
  scale16(v128.load(block, 18), none, d, to + 64);
}

function unpackQ4_0(block: usize, to: usize): void {
  const d = f32x4.splat(half(block)), q = v128.load(block, 2), shift = i32x4.splat(-8);
  scale16(lowHalves(q), shift, d, to);
  scale16(highHalves(q), shift, d, to + 64);
}

function unpackQ4_1(block: usize, to: usize): void {
  const d = f32x4.splat(half(block)), m = f32x4.splat(half(block + 2)), q = v128.load(block, 4);
  scaleAndAdd16(lowHalves(q), d, m, to);
  scaleAndAdd16(highHalves(q), d, m, to + 64);
}

/** Group 0 to 7 of a block of 256: 6-bit scale and minimum out of 12 packed bytes, 4-bit numbers. */
function unpackQ4_K(block: usize, group: usize, to: usize): void {
  let scale: i32, least: i32;
  const packed = block + 4 + group;
  if (group < 4) {
    scale = load<u8>(packed) & 63;
    least = load<u8>(packed, 4) & 63;
  } else {
    scale = (load<u8>(packed, 4) & 15) | ((load<u8>(packed - 4) >> 6) << 4);
    least = (load<u8>(packed, 4) >> 4) | ((load<u8>(packed) >> 6) << 4);
  }
  const d = f32x4.splat(half(block) * <f32>scale), m = f32x4.splat(-(half(block + 2) * <f32>least));
  const from = block + 16 + ((group >> 1) << 5), first = v128.load(from), second = v128.load(from, 16);
  if (group & 1) {
    scaleAndAdd16(highHalves(first), d, m, to);
    scaleAndAdd16(highHalves(second), d, m, to + 64);
  } else {
    scaleAndAdd16(lowHalves(first), d, m, to);
    scaleAndAdd16(lowHalves(second), d, m, to + 64);
  }
}

/** to[n] = numbers from, from + 1, … of a row of blocks; from and n are multiples of 32. */
export function unpackRow(format: i32, row: usize, from: i32, n: i32, to: usize): void {
  const end = <usize>(from + n) >> 5;
  for (let group = <usize>from >> 5; group < end; group++) {
    if (format == 1) unpackQ8_0(row + group * 34, to);
    else if (format == 2) unpackQ4_0(row + group * 18, to);
    else if (format == 3) unpackQ4_1(row + group * 20, to);
    else unpackQ4_K(row + (group >> 3) * 144, group & 7, to);
    to += 128;
  }
}

/** Rows of numbers as floats: where they lie, or where they are unpacked to. Format 0: they are floats. */
export function floatRows(format: i32, rows: usize, rowBytes: usize, m: i32, n: i32, scratch: usize): usize {
  if (format == 0) return rows;
  for (let i: usize = 0; i < <usize>m; i++) unpackRow(format, rows + i * rowBytes, 0, n, scratch + (i * n << 2));
  return scratch;
}

/** Fields: 1 x [rows, width] in blocks · 2 y · 3 rows · 4 width · 5 format · 6 bytes of a row of x. */
export function unpack(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), y = addressAt(p, 2), rows = intAt(p, 3), width = intAt(p, 4);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++)
    unpackRow(intAt(p, 5), x + <usize>i * addressAt(p, 6), 0, width, y + (<usize>(i * width) << 2));
}

/** y[i] = x[index[i]]. Fields: 1 x in blocks · 2 index · 3 y · 4 rows of y · 5 width · 6 format · 7 bytes of a row of x. */
export function gatherRowsBlocks(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), index = addressAt(p, 2), y = addressAt(p, 3), rows = intAt(p, 4), width = intAt(p, 5);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let i = shareStart(rows, 1, thread, threads); i < end; i++)
    unpackRow(intAt(p, 6), x + <usize>intAt(index, i) * addressAt(p, 7), 0, width, y + (<usize>(i * width) << 2));
}
