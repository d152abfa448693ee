// One function of each element; broadcasting over four nested loops.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override OPCODE: u32 = 0u;
// Elements: the true rows of the count at PLACE times WIDTH; all of y where no rows are counted.
override PLACE: u32 = 16u;
override WIDTH: u32 = 1u;
override SCALE: f32 = 1.0;
override SHIFT: f32 = 0.0;
// Loops over y, but for the outermost, whose size nothing needs; and each operand's steps in them.
override SIZE1: u32 = 1u;
override SIZE2: u32 = 1u;
override SIZE3: u32 = 1u;
override A0: u32 = 0u;
override A1: u32 = 0u;
override A2: u32 = 0u;
override A3: u32 = 0u;
override B0: u32 = 0u;
override B1: u32 = 0u;
override B2: u32 = 0u;
override B3: u32 = 0u;

const THREADS = 256u;
const EACH = 4u;

fn elements() -> u32 {
  if (PLACE == NO_COUNT) { return arrayLength(&y); }
  return rowsAt(PLACE, 0u) * WIDTH;
}

// The built-in tanh may overflow; this one saturates.
fn tanhOf(x: f32) -> f32 { return 1.0 - 2.0 / (exp(2.0 * x) + 1.0); }

fn sigmoidOf(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn unaryOf(x: f32) -> f32 {
  switch (OPCODE) {
    case 0u: { return -x; }
    case 1u: { return exp(x); }
    case 2u: { return log(x); }
    case 3u: { return sqrt(x); }
    case 4u: { return x * x; }
    case 5u: { return abs(x); }
    case 6u: { return max(x, 0.0); }
    case 7u: { return sigmoidOf(x); }
    case 8u: { return tanhOf(x); }
    case 9u: { return min(x, 0.0) - log(1.0 + exp(-abs(x))); }
    default: { return x * SCALE + SHIFT; }
  }
}

fn binaryOf(p: f32, q: f32) -> f32 {
  switch (OPCODE) {
    case 0u: { return p + q; }
    case 1u: { return p - q; }
    case 2u: { return p * q; }
    case 3u: { return p / q; }
    case 4u: { return max(p, q); }
    case 5u: { return min(p, q); }
    default: { return select(0.0, 1.0, p > q); }
  }
}

@compute @workgroup_size(THREADS)
fn unary(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = elements();
  let start = listIndex(workgroup, workgroups) * THREADS * EACH + thread;
  for (var e = 0u; e < EACH; e++) {
    let i = start + e * THREADS;
    if (i < n) { y[i] = unaryOf(a[i]); }
  }
}

@compute @workgroup_size(THREADS)
fn binary(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = elements();
  let start = listIndex(workgroup, workgroups) * THREADS * EACH + thread;
  for (var e = 0u; e < EACH; e++) {
    let i = start + e * THREADS;
    if (i >= n) { return; }
    let i3 = i % SIZE3;
    let i2 = i / SIZE3 % SIZE2;
    let i1 = i / (SIZE3 * SIZE2) % SIZE1;
    let i0 = i / (SIZE3 * SIZE2 * SIZE1);
    y[i] = binaryOf(
      a[i0 * A0 + i1 * A1 + i2 * A2 + i3 * A3],
      b[i0 * B0 + i1 * B1 + i2 * B2 + i3 * B3],
    );
  }
}
