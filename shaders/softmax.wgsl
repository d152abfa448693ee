// Softmax of each row of x [N, WIDTH], and its gradient; a team of threads to a row.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override PLACE: u32 = 16u;
override WIDTH: u32;
/// Threads that share a row, a power of two.
override TEAM: u32;

const THREADS = 256u;
const LEAST = -3.4028234e38;
/// Elements that a thread sums before it adds them to its total, so that the errors of long rows stay small.
const PIECE = 32u;

fn allRows() -> u32 { return rowsAt(PLACE, arrayLength(&y) / WIDTH); }

var<workgroup> parts: array<f32, THREADS>;

/// The sum, or the maximum, of what a team's threads bring.
fn teamTotal(part: f32, thread: u32, most: bool) -> f32 {
  let lane = thread % TEAM;
  workgroupBarrier();
  parts[thread] = part;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let other = parts[thread + half];
      parts[thread] = select(parts[thread] + other, max(parts[thread], other), most);
    }
  }
  workgroupBarrier();
  return parts[thread - lane];
}

/// y may be x.
@compute @workgroup_size(THREADS)
fn softmax(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread / TEAM;
  let lane = thread % TEAM;
  let start = row * WIDTH;
  let live = row < allRows();
  var highest = LEAST;
  if (live) {
    for (var c = lane; c < WIDTH; c += TEAM) { highest = max(highest, x[start + c]); }
  }
  let most = teamTotal(highest, thread, true);
  var total = 0.0;
  if (live) {
    for (var first = lane; first < WIDTH; first += PIECE * TEAM) {
      var piece = 0.0;
      let end = min(WIDTH, first + PIECE * TEAM);
      for (var c = first; c < end; c += TEAM) { piece += exp(x[start + c] - most); }
      total += piece;
    }
  }
  let scale = 1.0 / teamTotal(total, thread, false);
  if (!live) { return; }
  for (var c = lane; c < WIDTH; c += TEAM) { y[start + c] = exp(x[start + c] - most) * scale; }
}

/// Of x = softmax's y: y, which is dx, = x · (dy − Σ x · dy). y may be dy.
@compute @workgroup_size(THREADS)
fn softmaxGrad(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread / TEAM;
  let lane = thread % TEAM;
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
  let total = teamTotal(part, thread, false);
  if (!live) { return; }
  for (var c = lane; c < WIDTH; c += TEAM) { y[start + c] = x[start + c] * (dy[start + c] - total); }
}
