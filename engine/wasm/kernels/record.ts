// A call record: i32 fields from address p; field 0 is the task counter.

@inline export function addressAt(p: usize, i: usize): usize { return <usize>load<u32>(p + (i << 2)); }
@inline export function intAt(p: usize, i: usize): i32 { return load<i32>(p + (i << 2)); }
@inline export function floatAt(p: usize, i: usize): f32 { return load<f32>(p + (i << 2)); }

/** The next task of this call that no thread has taken. Results must not depend on who takes which. */
@inline export function nextTask(p: usize): i32 { return atomic.add<i32>(p, 1); }

/** Start of a thread's share of n things, in multiples of `step`. */
@inline export function shareStart(n: i32, step: i32, thread: i32, threads: i32): i32 {
  const steps = (n + step - 1) / step;
  return min(n, <i32>((<i64>steps * thread) / threads) * step);
}

/** a · b + c: fused where the relaxed binary allows it. */
// @ts-ignore: RELAXED is given by --use
@inline export function fma(a: v128, b: v128, c: v128): v128 {
  // @ts-ignore
  if (RELAXED) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
