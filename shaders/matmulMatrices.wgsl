// matmul.wgsl's products with operands rounded to float16, by subgroup matrices that sum in float32. Comes after it on
// adapters that have such matrices and pass engine/webgpu/trials.ts. Dawn has validated it, and an emulation of the
// matrices gives the right results; it has not run on hardware. A matrix of A is [MATRIX_M, MATRIX_K], one of B
// [MATRIX_K, MATRIX_N]; LANES are the threads of the adapter's largest subgroup.

enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// What depends on a subgroup's place or size is the same throughout a subgroup.
diagnostic(off, subgroup_uniformity);
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

const STEP = 32u;
const STRIP = 16u;
const STRIPS = TILE / STRIP;
const BLOCKS = TILE / MATRIX_M;
const ACROSS = STRIP / MATRIX_N;

/// A tile of A as [TILE, STEP], one of B as [STEP, TILE], and half of the rows of a tile of C.
var<workgroup> aHalves: array<f16, TILE * STEP>;
var<workgroup> bHalves: array<f16, STEP * TILE>;
var<workgroup> products: array<f32, TILE / 2u * TILE>;

/// A workgroup makes a tile of 64 × 64, a subgroup a strip of 16 columns of it; where there are more subgroups than
/// strips, since they are smaller than LANES, they take turns along a strip's blocks of MATRIX_M rows.
@compute @workgroup_size(STRIPS * LANES)
fn matrices(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_size) lanes: u32,
) {
  let rows = rowsAt(ROWS_PLACE, M);
  let inner = rowsAt(INNER_PLACE, K);
  let row0 = workgroup.y * TILE;
  let column0 = workgroup.x * TILE;
  let strip = thread / lanes % STRIPS;
  let turn = thread / lanes / STRIPS;
  let turns = LANES / lanes;
  var totals: array<Result, BLOCKS * ACROSS>;
  var sum = 0.0;
  for (var k0 = 0u; k0 < inner; k0 += STEP) {
    // Neighbouring threads read neighbouring numbers.
    for (var e = thread; e < TILE * STEP; e += STRIPS * LANES) {
      let row = select(e / STEP, e % TILE, TRANSPOSE_A);
      let k = select(e % STEP, e / TILE, TRANSPOSE_A);
      aHalves[row * STEP + k] = f16(aAt(row0 + row, k0 + k, rows, inner));
    }
    for (var e = thread; e < STEP * TILE; e += STRIPS * LANES) {
      let column = select(e % TILE, e / STEP, TRANSPOSE_B);
      let k = select(e / TILE, e % STEP, TRANSPOSE_B);
      bHalves[k * TILE + column] = f16(bAt(k0 + k, column0 + column, inner));
    }
    workgroupBarrier();
    for (var k = 0u; k < STEP; k += MATRIX_K) {
      var right: array<Right, ACROSS>;
      for (var j = 0u; j < ACROSS; j++) {
        right[j] = subgroupMatrixLoad<Right, row_major>(&bHalves, k * TILE + strip * STRIP + j * MATRIX_N, TILE);
      }
      for (var i = 0u; i < BLOCKS; i++) {
        let block = turn + i * turns;
        if (block < BLOCKS) {
          let left = subgroupMatrixLoad<Left, row_major>(&aHalves, block * MATRIX_M * STEP + k, STEP);
          for (var j = 0u; j < ACROSS; j++) {
            let at = i * ACROSS + j;
            totals[at] = subgroupMatrixMultiplyAccumulate(left, right[j], totals[at]);
          }
        }
      }
    }
    if (thread < TILE) {
      if (SUMS == 1u) { for (var k = 0u; k < STEP; k++) { sum += f32(aHalves[thread * STEP + k]); } }
      if (SUMS == 2u) { for (var k = 0u; k < STEP; k++) { sum += f32(bHalves[k * TILE + thread]); } }
    }
    workgroupBarrier();
  }
  for (var half = 0u; half < 2u; half++) {
    for (var i = 0u; i < BLOCKS; i++) {
      let block = turn + i * turns;
      if (block / (BLOCKS / 2u) == half) {
        for (var j = 0u; j < ACROSS; j++) {
          let start = block % (BLOCKS / 2u) * MATRIX_M * TILE + strip * STRIP + j * MATRIX_N;
          subgroupMatrixStore<row_major>(&products, start, totals[i * ACROSS + j], TILE);
        }
      }
    }
    workgroupBarrier();
    for (var e = thread; e < TILE / 2u * QUADS; e += STRIPS * LANES) {
      let row = row0 + half * (TILE / 2u) + e / QUADS;
      let four = vec4f(products[4u * e], products[4u * e + 1u], products[4u * e + 2u], products[4u * e + 3u]);
      finish(row, column0 + e % QUADS * 4u, rows, four);
    }
    workgroupBarrier();
  }
  if (thread < TILE) {
    if (SUMS == 1u && workgroup.x == 0u) { finishSum(row0 + thread, rows, sum); }
    if (SUMS == 2u && workgroup.y == 0u) { finishSum(column0 + thread, N, sum); }
  }
}
