// Dropout by a hash of element index, seed and salt: uniformAt of engine/ops/counterHash.ts.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override SALT: u32;
/// ⌈p · 2^24⌉: a hash k of 24 bits is below p, as k / 2^24, exactly where it is below this.
override THRESHOLD: u32;
/// 1 / (1 − p)
override SCALE: f32;

/// y may be x.
@compute @workgroup_size(THREADS)
fn dropout(list: List) {
  let n = listLength(arrayLength(&y));
  let offset = seed[0] * SEED_FACTOR + SALT * 0x9e3779b9u;
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    y[i] = select(x[i] * SCALE, 0.0, (counterHash(i * INDEX_FACTOR + offset) >> 8u) < THRESHOLD);
  }
}
