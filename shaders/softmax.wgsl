// Softmax of each row of x [N, WIDTH], and its gradient; a team of threads to a row.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override PLACE: u32 = 16u;
override WIDTH: u32;

const THREADS = 256u;
const LEAST = -3.4028234e38;
/// Elements that a thread sums before it adds them to its total, so that the errors of long rows stay small.
const PIECE = 32u;

fn allRows() -> u32 { return rowsAt(PLACE, arrayLength(&y) / WIDTH); }

/// y may be x.
@compute @workgroup_size(THREADS)
fn softmax(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let row = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread.index / TEAM;
  let lane = thread.index % TEAM;
  let start = row * WIDTH;
  let live = row < allRows();
  var highest = LEAST;
  if (live) {
    for (var c = lane; c < WIDTH; c += TEAM) { highest = max(highest, x[start + c]); }
  }
  let most = teamMax(highest, thread);
  var total = 0.0;
  if (live) {
    for (var first = lane; first < WIDTH; first += PIECE * TEAM) {
      var piece = 0.0;
      let end = min(WIDTH, first + PIECE * TEAM);
      for (var c = first; c < end; c += TEAM) { piece += exp(x[start + c] - most); }
      total += piece;
    }
  }
  let scale = 1.0 / teamSum(total, thread);
  if (!live) { return; }
  for (var c = lane; c < WIDTH; c += TEAM) { y[start + c] = exp(x[start + c] - most) * scale; }
}

/// Of x = softmax's y: y, which is dx, = x · (dy − Σ x · dy). y may be dy.
@compute @workgroup_size(THREADS)
fn softmaxGrad(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let row = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread.index / TEAM;
  let lane = thread.index % TEAM;
  let start = row * WIDTH;
  let live = row < allRows();
  var part = 0.0;
  if (live) {
    for (var first = lane; first < WIDTH; first += PIECE * TEAM) {
      var piece = 0.0;
      let end = min(WIDTH, first + PIECE * TEAM);
      for (var c = first; c < end; c += TEAM) { piece = fma(x[start + c], dy[start + c], piece); }
      part += piece;
    }
  }
  let total = teamSum(part, thread);
  if (!live) { return; }
  for (var c = lane; c < WIDTH; c += TEAM) { y[start + c] = x[start + c] * (dy[start + c] - total); }
}
