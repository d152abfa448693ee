// One function of each element; broadcasting over four nested loops.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override OPCODE: u32 = 0u;
override SCALE: f32 = 1.0;
override SHIFT: f32 = 0.0;
// Each operand's steps in the loops over y.
override A0: u32 = 0u;
override A1: u32 = 0u;
override A2: u32 = 0u;
override A3: u32 = 0u;
override B0: u32 = 0u;
override B1: u32 = 0u;
override B2: u32 = 0u;
override B3: u32 = 0u;

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
fn unary(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = unaryOf(a[i]); }
  }
}

@compute @workgroup_size(THREADS)
fn binary(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    let at = loopsAt(i);
    y[i] = binaryOf(a[dot(at, vec4u(A0, A1, A2, A3))], b[dot(at, vec4u(B0, B1, B2, B3))]);
  }
}
