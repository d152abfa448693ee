// Layer norm and RMS norm of rows of x [rows, WIDTH], and their gradients. RMS norm is layer norm without the mean
// (CENTERED), whose `bias` and `dBias` it lacks too.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> rstd: array<f32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read_write> newMean: array<f32>;
@group(0) @binding(9) var<storage, read_write> newRstd: array<f32>;
@group(0) @binding(10) var<storage, read_write> dx: array<f32>;
@group(0) @binding(11) var<storage, read_write> sums: array<f32>;
@group(0) @binding(12) var<storage, read_write> dWeight: array<f32>;
@group(0) @binding(13) var<storage, read_write> dBias: array<f32>;
// What dx, dWeight and dBias are added onto, where there is something.
@group(0) @binding(14) var<storage, read> dxBase: array<f32>;
@group(0) @binding(15) var<storage, read> weightBase: array<f32>;
@group(0) @binding(16) var<storage, read> biasBase: array<f32>;

// Rows: the true ones of the count at PLACE, or CAPACITY, times EACH (heads, say).
override PLACE: u32 = 16u;
override CAPACITY: u32 = 0u;
override EACH: u32 = 1u;
override WIDTH: u32;
override EPS: f32 = 0.0;
override CENTERED: bool = true;
/// Threads side by side along the columns while weight gradients are summed, a power of two; the others take rows.
override COLUMNS: u32 = 256u;
/// Workgroups of the gradient at most, each of which leaves its sums to normWeightGrad.
override MOST_GROUPS: u32 = 1u;
override HAS_DX_BASE: bool = false;
override HAS_WEIGHT_BASE: bool = false;
override HAS_BIAS_BASE: bool = false;

const THREADS = 256u;
const MOST_TEAMS = 16u;

fn allRows() -> u32 { return rowsAt(PLACE, CAPACITY) * EACH; }

/// y = (x − mean) · rstd · weight + bias, a team of threads to a row.
@compute @workgroup_size(THREADS)
fn norm(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let row = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread.index / TEAM;
  let lane = thread.index % TEAM;
  let start = row * WIDTH;
  let live = row < allRows();
  var m = 0.0;
  if (CENTERED) {
    var total = 0.0;
    if (live) {
      for (var c = lane; c < WIDTH; c += TEAM) { total += x[start + c]; }
    }
    m = teamSum(total, thread) / f32(WIDTH);
  }
  var squares = 0.0;
  if (live) {
    for (var c = lane; c < WIDTH; c += TEAM) {
      let d = x[start + c] - m;
      squares = fma(d, d, squares);
    }
  }
  let r = inverseSqrt(teamSum(squares, thread) / f32(WIDTH) + EPS);
  if (!live) { return; }
  for (var c = lane; c < WIDTH; c += TEAM) {
    var v = (x[start + c] - m) * r * weight[c];
    if (CENTERED) { v += bias[c]; }
    y[start + c] = v;
  }
  if (lane == 0u) {
    if (CENTERED) { newMean[row] = m; }
    newRstd[row] = r;
  }
}

/// Of each row of a block: mean, rstd, Σg / WIDTH and Σ(g · hat) / WIDTH.
var<workgroup> statistics: array<vec4f, MOST_TEAMS>;

fn meanOf(row: u32) -> f32 {
  if (CENTERED) { return mean[row]; }
  return 0.0;
}

/// dx = rstd · (g − Σg / WIDTH − hat · Σ(g · hat) / WIDTH) with g = dy · weight and hat = (x − mean) · rstd, where RMS
/// norm has no Σg. A workgroup takes blocks of THREADS / TEAM rows: first each team makes the sums of its row, then the
/// threads go down the columns, which also gives Σ(dy · hat) and Σ dy of the workgroup's rows. dx may be dy or dxBase.
@compute @workgroup_size(THREADS)
fn normGrad(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let rows = allRows();
  let teams = THREADS / TEAM;
  let team = thread.index / TEAM;
  let lane = thread.index % TEAM;
  let group = listIndex(workgroup, workgroups);
  // Each of these threads' rows has its own sums [dWeight, dBias] of the workgroup.
  let rowThreads = THREADS / COLUMNS;
  let rowThread = thread.index / COLUMNS;
  let sumStart = (group * rowThreads + rowThread) * sumWidth();
  for (var first = group * teams; first < rows; first += MOST_GROUPS * teams) {
    let row = first + team;
    var m = 0.0;
    var r = 0.0;
    var total = vec4f();
    if (row < rows) {
      m = meanOf(row);
      r = rstd[row];
      for (var c = lane; c < WIDTH; c += TEAM) {
        let at = row * WIDTH + c;
        let g = dy[at] * weight[c];
        total += vec4f(g, g * ((x[at] - m) * r), 0.0, 0.0);
      }
    }
    let means = teamSum4(total, thread) / f32(WIDTH);
    // Until here, threads may still be with the block before.
    workgroupBarrier();
    if (lane == 0u) { statistics[team] = vec4f(m, r, select(0.0, means[0], CENTERED), means[1]); }
    workgroupBarrier();
    let here = min(teams, rows - first);
    for (var c = thread.index % COLUMNS; c < WIDTH; c += COLUMNS) {
      let w = weight[c];
      var dw = 0.0;
      var db = 0.0;
      if (first >= MOST_GROUPS * teams) {
        dw = sums[sumStart + c];
        if (CENTERED) { db = sums[sumStart + WIDTH + c]; }
      }
      for (var t = rowThread; t < here; t += rowThreads) {
        let s = statistics[t];
        let at = (first + t) * WIDTH + c;
        let d = dy[at];
        let hat = (x[at] - s[0]) * s[1];
        dw = fma(d, hat, dw);
        db += d;
        var g = s[1] * (d * w - s[2] - hat * s[3]);
        if (HAS_DX_BASE) { g += dxBase[at]; }
        dx[at] = g;
      }
      sums[sumStart + c] = dw;
      if (CENTERED) { sums[sumStart + WIDTH + c] = db; }
    }
  }
}

fn sumWidth() -> u32 { return select(WIDTH, 2u * WIDTH, CENTERED); }

const SUM_COLUMNS = 16u;
var<workgroup> columnParts: array<f32, THREADS>;

/// Adds up the rows of `sums` to dWeight and dBias: 16 columns a workgroup, 16 threads to each.
@compute @workgroup_size(THREADS)
fn normWeightGrad(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let teams = THREADS / TEAM;
  let groups = min((allRows() + teams - 1u) / teams, MOST_GROUPS);
  let lines = groups * (THREADS / COLUMNS);
  let c = listIndex(workgroup, workgroups) * SUM_COLUMNS + thread % SUM_COLUMNS;
  var total = 0.0;
  if (c < sumWidth()) {
    for (var line = thread / SUM_COLUMNS; line < lines; line += THREADS / SUM_COLUMNS) {
      total += sums[line * sumWidth() + c];
    }
  }
  columnParts[thread] = total;
  for (var half = THREADS / 2u; half >= SUM_COLUMNS; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { columnParts[thread] += columnParts[thread + half]; }
  }
  if (thread >= SUM_COLUMNS || c >= sumWidth()) { return; }
  var sum = columnParts[thread];
  if (c < WIDTH) {
    if (HAS_WEIGHT_BASE) { sum += weightBase[c]; }
    dWeight[c] = sum;
  } else {
    if (HAS_BIAS_BASE) { sum += biasBase[c - WIDTH]; }
    dBias[c - WIDTH] = sum;
  }
}
