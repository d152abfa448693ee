// Dropout by a hash of element index, seed and salt: uniformAt of engine/ops/dropout.ts.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> seed: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Elements: the true rows of the count at PLACE times WIDTH; all of y where no rows are counted.
override PLACE: u32 = 16u;
override WIDTH: u32 = 1u;
override SALT: u32;
/// ⌈p · 2^24⌉: a hash k of 24 bits is below p, as k / 2^24, exactly where it is below this.
override THRESHOLD: u32;
/// 1 / (1 − p)
override SCALE: f32;

const THREADS = 256u;
const EACH = 4u;

fn elements() -> u32 {
  if (PLACE == NO_COUNT) { return arrayLength(&y); }
  return rowsAt(PLACE, 0u) * WIDTH;
}

fn hashOf(counter: u32) -> u32 {
  var h = (counter ^ (counter >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return (h ^ (h >> 16u)) >> 8u;
}

/// y may be x.
@compute @workgroup_size(THREADS)
fn dropout(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = elements();
  let offset = seed[0] * 277803737u + SALT * 0x9e3779b9u;
  let start = listIndex(workgroup, workgroups) * THREADS * EACH + thread;
  for (var e = 0u; e < EACH; e++) {
    let i = start + e * THREADS;
    if (i >= n) { return; }
    y[i] = select(x[i] * SCALE, 0.0, hashOf(i * 747796405u + offset) < THRESHOLD);
  }
}
