// Dropout by a hash of element index, seed and salt: uniformAt of engine/ops/dropout.ts.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override SALT: u32;
/// ⌈p · 2^24⌉: a hash k of 24 bits is below p, as k / 2^24, exactly where it is below this.
override THRESHOLD: u32;
/// 1 / (1 − p)
override SCALE: f32;

fn hashOf(counter: u32) -> u32 {
  var h = (counter ^ (counter >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return (h ^ (h >> 16u)) >> 8u;
}

/// y may be x.
@compute @workgroup_size(THREADS)
fn dropout(list: List) {
  let n = listLength(arrayLength(&y));
  let offset = seed[0] * 277803737u + SALT * 0x9e3779b9u;
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    y[i] = select(x[i] * SCALE, 0.0, hashOf(i * 747796405u + offset) < THRESHOLD);
  }
}
