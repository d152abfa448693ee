// Copies of numbers to other places.

@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
// Parts that lie side by side in the last dimension of x (split), or are put there in y (concat).
@group(0) @binding(3) var<storage, read_write> part0: array<u32>;
@group(0) @binding(4) var<storage, read_write> part1: array<u32>;
@group(0) @binding(5) var<storage, read_write> part2: array<u32>;
@group(0) @binding(6) var<storage, read_write> part3: array<u32>;
@group(0) @binding(7) var<storage, read> from0: array<u32>;
@group(0) @binding(8) var<storage, read> from1: array<u32>;
@group(0) @binding(9) var<storage, read> from2: array<u32>;
@group(0) @binding(10) var<storage, read> from3: array<u32>;

override VALUE: f32 = 0.0;
// Steps of x in the loops over y.
override X0: u32 = 0u;
override X1: u32 = 0u;
override X2: u32 = 0u;
override X3: u32 = 0u;
// Of parts: the width of the whole, where the first of them begins in it, and the width of each.
override WHOLE: u32 = 1u;
override FIRST: u32 = 0u;
override WIDTH0: u32 = 0u;
override WIDTH1: u32 = 0u;
override WIDTH2: u32 = 0u;
override WIDTH3: u32 = 0u;

@compute @workgroup_size(THREADS)
fn fill(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = bitcast<u32>(VALUE); }
  }
}

@compute @workgroup_size(THREADS)
fn copy(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i < n) { y[i] = x[i]; }
  }
}

@compute @workgroup_size(THREADS)
fn transpose(list: List) {
  let n = listLength(arrayLength(&y));
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    y[i] = x[dot(loopsAt(i), vec4u(X0, X1, X2, X3))];
  }
}

@compute @workgroup_size(THREADS)
fn split(list: List) {
  let width = WIDTH0 + WIDTH1 + WIDTH2 + WIDTH3;
  let n = listLength(arrayLength(&x) / WHOLE * width);
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    let row = i / width;
    var c = i % width;
    let v = x[row * WHOLE + FIRST + c];
    if (c < WIDTH0) { part0[row * WIDTH0 + c] = v; continue; }
    c -= WIDTH0;
    if (c < WIDTH1) { part1[row * WIDTH1 + c] = v; continue; }
    c -= WIDTH1;
    if (c < WIDTH2) { part2[row * WIDTH2 + c] = v; continue; }
    part3[row * WIDTH3 + c - WIDTH2] = v;
  }
}

@compute @workgroup_size(THREADS)
fn concat(list: List) {
  let width = WIDTH0 + WIDTH1 + WIDTH2 + WIDTH3;
  let n = listLength(arrayLength(&y) / WHOLE * width);
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    let row = i / width;
    var c = i % width;
    let to = row * WHOLE + FIRST + c;
    if (c < WIDTH0) { y[to] = from0[row * WIDTH0 + c]; continue; }
    c -= WIDTH0;
    if (c < WIDTH1) { y[to] = from1[row * WIDTH1 + c]; continue; }
    c -= WIDTH1;
    if (c < WIDTH2) { y[to] = from2[row * WIDTH2 + c]; continue; }
    y[to] = from3[row * WIDTH3 + c - WIDTH2];
  }
}
