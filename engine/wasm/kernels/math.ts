// exp, log, tanh and sigmoid of four floats at once: range reduction and a polynomial, no tables (static data would be
// written anew by every instance). Relative errors stay below 1.5 · 2^-24 (exp, log) and 3 · 2^-24 = 1.8e-7 (log1p,
// tanh, sigmoid). V8 makes the constants anew in each turn of a loop: a loop over four vectors a turn is twice as fast.
import { fma } from './record';

// ln 2 in two parts: n · LN2_HIGH is exact for |n| < 2^15.
const LOG2E: f32 = 1.4426950408889634;
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;
// Adding 1.5 · 2^23 rounds a float to an integer, which then lies in the low bits of the sum.
const ROUND: f32 = 12582912;
const ROUND_BITS: i32 = 0x4b400000;

/** (e^r − 1 − r) / r² for |r| ≤ ½ ln 2 (coefficients: Moshier's Cephes, expf). */
@inline function expTail(r: v128): v128 {
  let q = f32x4.splat(1.9875691500e-4);
  q = fma(q, r, f32x4.splat(1.3981999507e-3));
  q = fma(q, r, f32x4.splat(8.3334519073e-3));
  q = fma(q, r, f32x4.splat(4.1665795894e-2));
  q = fma(q, r, f32x4.splat(1.6666665459e-1));
  return fma(q, r, f32x4.splat(5.0000001201e-1));
}

/** 2^n for integers −126 ≤ n ≤ 127. */
@inline function exp2i(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/** e^x; 0 below −104, infinite above 88.72, denormal results rounded once more. NaN stays NaN. */
@inline export function exp4(x: v128): v128 {
  // pmin and pmax return their first operand where it is NaN.
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104));
  const t = fma(x, f32x4.splat(LOG2E), f32x4.splat(ROUND));
  const whole = f32x4.sub(t, f32x4.splat(ROUND));
  const r = fma(whole, f32x4.splat(-LN2_LOW), fma(whole, f32x4.splat(-LN2_HIGH), x));
  const y = f32x4.add(fma(f32x4.mul(r, r), expTail(r), r), f32x4.splat(1));
  // 2^n in two factors: n reaches from −150 to 128.
  const n = i32x4.sub(t, i32x4.splat(ROUND_BITS));
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(f32x4.mul(y, exp2i(half)), exp2i(i32x4.sub(n, half)));
}

/** ln x; −∞ at 0, NaN below. NaN stays NaN. */
@inline export function log4(x: v128): v128 {
  const denormal = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, denormal);
  // x = m · 2^e with √½ ≤ m < √2.
  const e = i32x4.shr_s(i32x4.sub(scaled, i32x4.splat(0x3f3504f3)), 23);
  const m = i32x4.sub(scaled, i32x4.shl(e, 23));
  const exponent = f32x4.sub(f32x4.convert_i32x4_s(e), v128.and(denormal, f32x4.splat(23)));
  // ln(1 + f) = f − f²/2 + f³ · q(f) (coefficients: Cephes, logf).
  const f = f32x4.sub(m, f32x4.splat(1));
  let q = f32x4.splat(7.0376836292e-2);
  q = fma(q, f, f32x4.splat(-1.1514610310e-1));
  q = fma(q, f, f32x4.splat(1.1676998740e-1));
  q = fma(q, f, f32x4.splat(-1.2420140846e-1));
  q = fma(q, f, f32x4.splat(1.4249322787e-1));
  q = fma(q, f, f32x4.splat(-1.6668057665e-1));
  q = fma(q, f, f32x4.splat(2.0000714765e-1));
  q = fma(q, f, f32x4.splat(-2.4999993993e-1));
  q = fma(q, f, f32x4.splat(3.3333331174e-1));
  const f2 = f32x4.mul(f, f);
  let y = fma(f32x4.mul(f2, f), q, f32x4.mul(exponent, f32x4.splat(LN2_LOW)));
  y = f32x4.add(fma(f2, f32x4.splat(-0.5), y), f);
  y = fma(exponent, f32x4.splat(LN2_HIGH), y);
  // x itself where it is +∞ or NaN, −∞ at ±0, NaN below.
  y = v128.bitselect(y, x, f32x4.lt(x, f32x4.splat(Infinity)));
  y = v128.bitselect(f32x4.splat(-Infinity), y, f32x4.eq(x, f32x4.splat(0)));
  return v128.bitselect(f32x4.splat(NaN), y, f32x4.lt(x, f32x4.splat(0)));
}

/** ln(1 + z) for 0 ≤ z ≤ 1, to full relative precision near 0. */
@inline export function log1p4(z: v128): v128 {
  const u = f32x4.add(z, f32x4.splat(1));
  const lost = f32x4.sub(z, f32x4.sub(u, f32x4.splat(1)));
  return f32x4.add(log4(u), f32x4.div(lost, u));
}

/** tanh x = t / (t + 2) with t = e^2x − 1, which keeps full relative precision near 0. */
@inline export function tanh4(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(f32x4.add(x, x)), f32x4.splat(20));
  const s = fma(a, f32x4.splat(LOG2E), f32x4.splat(ROUND));
  const whole = f32x4.sub(s, f32x4.splat(ROUND));
  const r = fma(whole, f32x4.splat(-LN2_LOW), fma(whole, f32x4.splat(-LN2_HIGH), a));
  // e^a − 1 = 2^n · (e^r − 1) + (2^n − 1)
  const power = exp2i(i32x4.sub(s, i32x4.splat(ROUND_BITS)));
  const t = fma(power, fma(f32x4.mul(r, r), expTail(r), r), f32x4.sub(power, f32x4.splat(1)));
  const y = f32x4.div(t, f32x4.add(t, f32x4.splat(2)));
  return v128.bitselect(x, y, i32x4.splat(<i32>0x80000000));
}

/** 1 / (1 + e^−x); 0 below −88.7. */
@inline export function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** The bits that exp4 gives. */
export function expf(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x)), 0);
}

/** The bits that log4 gives. */
export function logf(x: f32): f32 {
  return f32x4.extract_lane(log4(f32x4.splat(x)), 0);
}
