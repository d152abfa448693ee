// C[M, N] = A · B, either operand given transposed, plus a bias [N] and a tensor [M, N] where there are; and beside it
// the sums of one operand over what is summed over, as a bias's gradient needs them.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> base: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<storage, read> sumsBase: array<f32>;

override M: u32;
override N: u32;
override K: u32;
// Where true counts stand: of rows of C, and of what is summed over.
override ROWS_PLACE: u32 = 16u;
override INNER_PLACE: u32 = 16u;
override TRANSPOSE_A: bool = false;
override TRANSPOSE_B: bool = false;
override HAS_BIAS: bool = false;
override HAS_BASE: bool = false;
/// Sums of each row of A [M] (1), of each column of B [N] (2), or none.
override SUMS: u32 = 0u;
override HAS_SUMS_BASE: bool = false;
/// Rows, columns or what is summed over may not fill their last tile: what is read beyond them counts as 0, and nothing
/// is written there.
override ROW_EDGE: bool = true;
override COLUMN_EDGE: bool = true;
override INNER_EDGE: bool = true;

const TILE = 64u;
const DEPTH = 16u;
const QUADS = TILE / 4u;

/// A tile of A as [DEPTH, TILE] and one of B, each four columns in a vector: a Quad is a vec4f, or a vec4h where operands
/// are rounded to float16. Sums are in float32 either way.
var<workgroup> aTile: array<Quad, DEPTH * QUADS>;
var<workgroup> bTile: array<Quad, DEPTH * QUADS>;

fn aAt(row: u32, k: u32, rows: u32, inner: u32) -> f32 {
  if ((ROW_EDGE && row >= rows) || (INNER_EDGE && k >= inner)) { return 0.0; }
  if (TRANSPOSE_A) { return a[k * M + row]; }
  return a[row * K + k];
}

fn bAt(k: u32, column: u32, inner: u32) -> f32 {
  if ((COLUMN_EDGE && column >= N) || (INNER_EDGE && k >= inner)) { return 0.0; }
  if (TRANSPOSE_B) { return b[column * K + k]; }
  return b[k * N + column];
}

fn finishOne(row: u32, column: u32, sum: f32) {
  let at = row * N + column;
  var total = sum;
  if (HAS_BIAS) { total += bias[column]; }
  if (HAS_BASE) { total += base[at]; }
  c[at] = total;
}

fn finish(row: u32, column: u32, rows: u32, totals: vec4f) {
  for (var j = 0u; j < 4u; j++) {
    if ((ROW_EDGE && row >= rows) || (COLUMN_EDGE && column + j >= N)) { return; }
    finishOne(row, column + j, totals[j]);
  }
}

fn finishSum(at: u32, end: u32, sum: f32) {
  if (at >= end) { return; }
  var total = sum;
  if (HAS_SUMS_BASE) { total += sumsBase[at]; }
  sums[at] = total;
}

fn finishSums(first: u32, end: u32, totals: vec4f) {
  for (var j = 0u; j < 4u; j++) { finishSum(first + j, end, totals[j]); }
}

/// A workgroup makes a tile of 64 × 64, a thread 8 rows × 4 columns of it.
@compute @workgroup_size(16, 8)
fn tiled(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let rows = rowsAt(ROWS_PLACE, M);
  let inner = rowsAt(INNER_PLACE, K);
  let row0 = workgroup.y * TILE;
  let column0 = workgroup.x * TILE;
  var c0 = vec4f();
  var c1 = vec4f();
  var c2 = vec4f();
  var c3 = vec4f();
  var c4 = vec4f();
  var c5 = vec4f();
  var c6 = vec4f();
  var c7 = vec4f();
  var upperSum = vec4f();
  var lowerSum = vec4f();
  var rightSum = vec4f();
  for (var k0 = 0u; k0 < inner; k0 += DEPTH) {
    // Neighbouring threads read neighbouring numbers: along the rows or the columns that lie contiguously.
    for (var e = thread; e < DEPTH * QUADS; e += 128u) {
      let k = select(e % DEPTH, e / QUADS, TRANSPOSE_A);
      let quad = select(e / DEPTH, e % QUADS, TRANSPOSE_A);
      let row = row0 + quad * 4u;
      aTile[k * QUADS + quad] = Quad(vec4f(
        aAt(row, k0 + k, rows, inner),
        aAt(row + 1u, k0 + k, rows, inner),
        aAt(row + 2u, k0 + k, rows, inner),
        aAt(row + 3u, k0 + k, rows, inner),
      ));
    }
    for (var e = thread; e < DEPTH * QUADS; e += 128u) {
      let k = select(e / QUADS, e % DEPTH, TRANSPOSE_B);
      let quad = select(e % QUADS, e / DEPTH, TRANSPOSE_B);
      let column = column0 + quad * 4u;
      bTile[k * QUADS + quad] = Quad(vec4f(
        bAt(k0 + k, column, inner),
        bAt(k0 + k, column + 1u, inner),
        bAt(k0 + k, column + 2u, inner),
        bAt(k0 + k, column + 3u, inner),
      ));
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let upper = vec4f(aTile[k * QUADS + local.y * 2u]);
      let lower = vec4f(aTile[k * QUADS + local.y * 2u + 1u]);
      let right = vec4f(bTile[k * QUADS + local.x]);
      if (SUMS == 1u) {
        upperSum += upper;
        lowerSum += lower;
      }
      if (SUMS == 2u) { rightSum += right; }
      c0 = fma(vec4f(upper.x), right, c0);
      c1 = fma(vec4f(upper.y), right, c1);
      c2 = fma(vec4f(upper.z), right, c2);
      c3 = fma(vec4f(upper.w), right, c3);
      c4 = fma(vec4f(lower.x), right, c4);
      c5 = fma(vec4f(lower.y), right, c5);
      c6 = fma(vec4f(lower.z), right, c6);
      c7 = fma(vec4f(lower.w), right, c7);
    }
    workgroupBarrier();
  }
  let row = row0 + local.y * 8u;
  let column = column0 + local.x * 4u;
  finish(row, column, rows, c0);
  finish(row + 1u, column, rows, c1);
  finish(row + 2u, column, rows, c2);
  finish(row + 3u, column, rows, c3);
  finish(row + 4u, column, rows, c4);
  finish(row + 5u, column, rows, c5);
  finish(row + 6u, column, rows, c6);
  finish(row + 7u, column, rows, c7);
  if (SUMS == 1u && workgroup.x == 0u && local.x == 0u) {
    finishSums(row, rows, upperSum);
    finishSums(row + 4u, rows, lowerSum);
  }
  if (SUMS == 2u && workgroup.y == 0u && local.y == 0u) { finishSums(column, N, rightSum); }
}

/// Few rows of A times rows of B [N, K]: a team shares the sum of one column.
@compute @workgroup_size(256)
fn alongRows(@builtin(workgroup_id) workgroup: vec3u, thread: Thread) {
  let rows = rowsAt(ROWS_PLACE, M);
  let inner = rowsAt(INNER_PLACE, K);
  let lane = thread.index % TEAM;
  let column = workgroup.x * (256u / TEAM) + thread.index / TEAM;
  let row = workgroup.y;
  var total = 0.0;
  if (column < N && row < rows) {
    for (var k = lane; k < inner; k += TEAM) { total = fma(aAt(row, k, rows, inner), b[column * K + k], total); }
  }
  total = teamSum(total, thread);
  if (lane == 0u && column < N && row < rows) { finishOne(row, column, total); }
}

var<workgroup> parts: array<f32, 256>;

/// Few rows of A times columns of B [K, N]: four threads share the sum of one column.
@compute @workgroup_size(64, 4)
fn alongColumns(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let rows = rowsAt(ROWS_PLACE, M);
  let inner = rowsAt(INNER_PLACE, K);
  let column = workgroup.x * 64u + local.x;
  let row = workgroup.y;
  var total = 0.0;
  if (column < N && row < rows) {
    for (var k = local.y; k < inner; k += 4u) { total = fma(aAt(row, k, rows, inner), b[k * N + column], total); }
  }
  parts[thread] = total;
  workgroupBarrier();
  if (local.y == 0u && column < N && row < rows) {
    finishOne(row, column, parts[thread] + parts[thread + 64u] + parts[thread + 128u] + parts[thread + 192u]);
  }
}
