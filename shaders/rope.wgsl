// Rotary position embedding of pairs (d, d + HALF) of each head.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<i32>;
// [positions, HALF]
@group(0) @binding(3) var<storage, read> cosines: array<f32>;
@group(0) @binding(4) var<storage, read> sines: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

override HEADS: u32;
override HALF: u32;
/// −1 rotates backwards.
override SIGN: f32 = 1.0;

/// y may be x.
@compute @workgroup_size(THREADS)
fn rope(list: List) {
  let pairs = listLength(arrayLength(&y) / 2u);
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= pairs) { return; }
    let d = i % HALF;
    let head = i / HALF;
    let angle = u32(positions[head / HEADS]) * HALF + d;
    let at = head * 2u * HALF + d;
    let c = cosines[angle];
    let s = sines[angle] * SIGN;
    let a = x[at];
    let b = x[at + HALF];
    y[at] = a * c - b * s;
    y[at + HALF] = b * c + a * s;
  }
}
