// GELU and SwiGLU, with their gradients.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dUp: array<f32>;

/// GELU by Φ, not in its tanh form.
override EXACT: bool = false;

fn sigmoidOf(v: f32) -> f32 {
  let e = exp(-abs(v));
  return select(e, 1.0, v >= 0.0) / (1.0 + e);
}

// ½ (1 + tanh u) = σ(2u), so with 2u = v · (A + B · v²): gelu(v) = v · σ(2u).
const A = 1.5957691216057308;
const B = 0.07135481282052607;

/// φ(0)
const PEAK = 0.3989422804014327;

/// e^(−v²/2)
fn bellOf(v: f32) -> f32 { return exp(-0.5 * v * v); }

/// Φ(v), bell being e^(−v²/2): Φ(−|v|) = bell · t · P(t) with t = 1 / (1 + 0.35 |v|), relative error 3.2e-8 before
/// rounding (P fitted to ½ erfcx(|v| / √2) / t for |v| ≤ 13.5).
fn cumulativeOf(v: f32, bell: f32) -> f32 {
  let t = 1.0 / fma(abs(v), 0.35, 1.0);
  var q = -0.029125973545914143;
  q = fma(q, t, 0.1438727465622107);
  q = fma(q, t, -0.25550558341894536);
  q = fma(q, t, 0.15893040533465835);
  q = fma(q, t, -0.022937866349167474);
  q = fma(q, t, 0.10543322573797029);
  q = fma(q, t, 0.11985236965818899);
  q = fma(q, t, 0.1398590907635911);
  q = fma(q, t, 0.13962156937665024);
  let tail = bell * t * q;
  return select(1.0 - tail, tail, v < 0.0);
}

fn geluOf(v: f32) -> f32 {
  if (EXACT) { return v * cumulativeOf(v, bellOf(v)); }
  return v * sigmoidOf(v * fma(v * v, B, A));
}

/// d gelu / dv = Φ(v) + v · φ(v), or with s = σ(2u) in the tanh form, s + v · s · (1 − s) · (A + 3 B · v²).
fn geluSlope(v: f32) -> f32 {
  if (EXACT) {
    let bell = bellOf(v);
    return fma(v * bell, PEAK, cumulativeOf(v, bell));
  }
  let s = sigmoidOf(v * fma(v * v, B, A));
  return fma(s * (1.0 - s), v * fma(v * v, 3.0 * B, A), s);
}

@compute @workgroup_size(THREADS)
fn gelu(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = geluOf(x[i]); }
  }
}

/// y is dx.
@compute @workgroup_size(THREADS)
fn geluGrad(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = geluSlope(x[i]) * dy[i]; }
  }
}

/// x · σ(x) · up
@compute @workgroup_size(THREADS)
fn swiglu(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = x[i] * sigmoidOf(x[i]) * up[i]; }
  }
}

/// With s = σ(x): y, which is dx, = dy · up · s · (1 + x · (1 − s)), and dUp = dy · x · s.
@compute @workgroup_size(THREADS)
fn swigluGrad(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    let gate = x[i];
    let s = sigmoidOf(gate);
    let ds = dy[i] * s;
    let slope = fma(gate, 1.0 - s, 1.0);
    let u = up[i];
    y[i] = ds * u * slope;
    dUp[i] = ds * gate;
  }
}
