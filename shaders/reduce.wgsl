// Sums and means over the middle of [OUTER, REDUCED, INNER], and broadcasting, which is their gradient.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Where a count stands that OUTER or REDUCED (or the outermost loop of y) is a multiple of.
override OUTER_PLACE: u32 = 16u;
override REDUCED_PLACE: u32 = 16u;
override OUTER: u32 = 1u;
override REDUCED: u32 = 1u;
override INNER: u32 = 1u;
// Elements of REDUCED for each counted row.
override REDUCED_EACH: u32 = 1u;
override MEAN: bool = false;
// Of chunks: elements that one workgroup sums.
override CHUNK: u32 = 1u;
// Of spread: steps of x in the loops over y; its count, and its elements to each row of that.
override SOURCE_PLACE: u32 = 16u;
override SOURCE_WIDTH: u32 = 1u;
override X0: u32 = 0u;
override X1: u32 = 0u;
override X2: u32 = 0u;
override X3: u32 = 0u;

fn reduced() -> u32 {
  if (REDUCED_PLACE == NO_COUNT) { return REDUCED; }
  return rowsAt(REDUCED_PLACE, 0u) * REDUCED_EACH;
}

fn finished(total: f32, n: u32) -> f32 {
  if (MEAN) { return total / f32(n); }
  return total;
}

/// INNER = 1: a workgroup sums one row of REDUCED numbers.
@compute @workgroup_size(THREADS)
fn rows(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let row = listIndex(workgroup, workgroups);
  let n = reduced();
  let inside = OUTER_PLACE != NO_COUNT || row < OUTER;
  var total = 0.0;
  if (inside) { for (var i = thread.index; i < n; i += THREADS) { total += x[row * n + i]; } }
  total = teamSum(total, thread);
  if (thread.index == 0u && row < arrayLength(&y)) { y[row] = finished(total, n); }
}

/// A workgroup sums CHUNK neighbouring numbers of all of them.
@compute @workgroup_size(THREADS)
fn chunks(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let chunk = listIndex(workgroup, workgroups);
  let end = min(reduced(), (chunk + 1u) * CHUNK);
  var total = 0.0;
  for (var i = chunk * CHUNK + thread.index; i < end; i += THREADS) { total += x[i]; }
  total = teamSum(total, thread);
  if (thread.index == 0u && chunk < arrayLength(&y)) { y[chunk] = total; }
}

/// The total of the chunks' sums.
@compute @workgroup_size(THREADS)
fn total(thread: Thread) {
  let n = reduced();
  let count = (n + CHUNK - 1u) / CHUNK;
  var sum = 0.0;
  for (var i = thread.index; i < count; i += THREADS) { sum += x[i]; }
  sum = teamSum(sum, thread);
  if (thread.index == 0u) { y[0] = finished(sum, n); }
}

var<workgroup> parts: array<f32, THREADS>;

/// INNER > 1: a workgroup sums 16 columns, 16 threads each.
@compute @workgroup_size(16, 16)
fn columns(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = workgroup.x * 16u + local.x;
  let n = reduced();
  var sum = 0.0;
  if (column < INNER) {
    for (var i = local.y; i < n; i += 16u) { sum += x[(workgroup.y * n + i) * INNER + column]; }
  }
  parts[thread] = sum;
  for (var half = 8u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.y < half) { parts[thread] += parts[thread + half * 16u]; }
  }
  if (local.y == 0u && column < INNER) { y[workgroup.y * INNER + column] = finished(parts[thread], n); }
}

/// y repeats x; of a mean's gradient, divided by how often.
@compute @workgroup_size(THREADS)
fn spread(list: List) {
  let n = listLength(arrayLength(&y));
  let source = rowsAt(SOURCE_PLACE, 1u) * SOURCE_WIDTH;
  let scale = select(1.0, f32(source) / f32(n), MEAN);
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    y[i] = x[dot(loopsAt(i), vec4u(X0, X1, X2, X3))] * scale;
  }
}
