// Softmax attention of a packed batch, going over the keys that a block of queries sees with a running maximum and sum
// (online softmax: arXiv 1805.02867; in blocks: FlashAttention, arXiv 2205.14135).

@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

const QUERIES = 0u;
const KEYS = 1u;
const VALUES = 2u;
/// A score that is not seen, and where the maximum of scores · FACTOR begins: exp2 of their difference is 0.
const HIDDEN = -1e30;
const LOWEST = -1e28;

var<private> block: Block;
var<private> head: u32;
var<private> firstKey: u32;

/// What lies beyond the block is read as its last row, and hidden or not written.
fn rowNumber(matrix: u32, row: u32, d: u32) -> f32 {
  if (RAGGED && d >= HEAD_DIM) { return 0.0; }
  return q[((block.query + min(row, block.rows - 1u)) * HEADS + head) * HEAD_DIM + d];
}

fn columnNumber(matrix: u32, column: u32, d: u32) -> f32 {
  if (RAGGED && d >= HEAD_DIM) { return 0.0; }
  let at = keyNumber(min(firstKey + column, block.seen - 1u), d);
  if (matrix == KEYS) { return k[at]; }
  return v[at];
}

/// Where a key's number d lies in k and v.
fn keyNumber(key: u32, d: u32) -> u32 {
  return (keyRow(block, key) * KV_HEADS + head * KV_HEADS / HEADS) * HEAD_DIM + d;
}

/// A vec4f for each thread, of which those of a row quad are combined.
override SHARED: u32 = STAGE + 256u;

fn giveQuad(mine: vec4f) { memory[SHARED + x * LEFT_PITCH + y] = mine; }

fn quadOf(column: u32) -> vec4f { return memory[SHARED + column * LEFT_PITCH + y]; }

fn scaleRows(part: mat4x4f, by: vec4f) -> mat4x4f {
  return mat4x4f(part[0] * by.x, part[1] * by.y, part[2] * by.z, part[3] * by.w);
}

fn storeRow(row: u32, column: u32, numbers: vec4f) {
  if (row >= block.rows) { return; }
  let at = ((block.query + row) * HEADS + head) * HEAD_DIM + column;
  for (var e = 0u; e < 4u; e++) {
    if (!RAGGED || column + e < HEAD_DIM) { out[at + e] = numbers[e]; }
  }
}

fn storePart(part: mat4x4f, n: u32) {
  let column = 4u * (x + ACROSS * n);
  storeRow(4u * y, column, part[0]);
  storeRow(4u * y + 1u, column, part[1]);
  storeRow(4u * y + 2u, column, part[2]);
  storeRow(4u * y + 3u, column, part[3]);
}

/// A workgroup takes a block of a segment's queries and one head.
@compute @workgroup_size(THREADS)
fn tiled(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  begin(index);
  let taken = findBlock(workgroup.y);
  if (taken.rows == 0u) { return; }
  block = taken;
  head = workgroup.x;
  let sees = max(vec4i(i32(taken.prefixLength)), taken.see + 4 * i32(y) + vec4i(0, 1, 2, 3));
  var most = vec4f(LOWEST);
  var total = vec4f();
  var sums = Sums();
  for (var key0 = 0u; key0 < taken.seen; key0 += COLUMNS) {
    firstKey = key0;
    let scores = product(QUERIES, KEYS);
    let key = vec4i(i32(key0 + x));
    let s0 = select(vec4f(HIDDEN), scores[0], key < sees);
    let s1 = select(vec4f(HIDDEN), scores[1], key + i32(ACROSS) < sees);
    let s2 = select(vec4f(HIDDEN), scores[2], key + i32(2u * ACROSS) < sees);
    let s3 = select(vec4f(HIDDEN), scores[3], key + i32(3u * ACROSS) < sees);
    giveQuad(max(max(s0, s1), max(s2, s3)));
    workgroupBarrier();
    var highest = quadOf(0u);
    for (var column = 1u; column < ACROSS; column++) { highest = max(highest, quadOf(column)); }
    let next = max(most, highest * FACTOR);
    let shrink = exp2(most - next);
    most = next;
    let p0 = exp2(fma(s0, vec4f(FACTOR), -next));
    let p1 = exp2(fma(s1, vec4f(FACTOR), -next));
    let p2 = exp2(fma(s2, vec4f(FACTOR), -next));
    let p3 = exp2(fma(s3, vec4f(FACTOR), -next));
    total = fma(total, shrink, (p0 + p1) + (p2 + p3));
    storeTile(mat4x4f(p0, p1, p2, p3));
    sums.part0 = scaleRows(sums.part0, shrink);
    if (PARTS > 1u) { sums.part1 = scaleRows(sums.part1, shrink); }
    if (PARTS > 2u) { sums.part2 = scaleRows(sums.part2, shrink); }
    if (PARTS > 3u) { sums.part3 = scaleRows(sums.part3, shrink); }
    addProduct(&sums, VALUES);
  }
  giveQuad(total);
  workgroupBarrier();
  total = quadOf(0u);
  for (var column = 1u; column < ACROSS; column++) { total += quadOf(column); }
  let inverse = select(vec4f(), 1.0 / total, total > vec4f());
  storePart(scaleRows(sums.part0, inverse), 0u);
  if (PARTS > 1u) { storePart(scaleRows(sums.part1, inverse), 1u); }
  if (PARTS > 2u) { storePart(scaleRows(sums.part2, inverse), 2u); }
  if (PARTS > 3u) { storePart(scaleRows(sums.part3, inverse), 3u); }
  if (x > 0u) { return; }
  let logs = fma(most, vec4f(LN2), log(total));
  for (var r = 0u; r < 4u; r++) {
    let row = 4u * y + r;
    if (row < taken.rows) { lse[(taken.query + row) * HEADS + head] = logs[r]; }
  }
}

// Of few queries, as in decoding: time goes into reading keys and values.

const FEW_THREADS = 256u;
/// Keys at a time, one for each thread.
const FEW_KEYS = 256u;
/// Threads that share a key: they read 32 bytes side by side.
const LANES = 8u;
/// HEAD_DIM rounded up to a power of 2: threads side by side that sum values.
override WIDE: u32 = 1u;

var<workgroup> query: array<f32, 256>;
/// A key's score in parts [FEW_KEYS, LANES + 1]; in the end parts of the sums of values.
var<workgroup> parts: array<f32, 2304>;
/// The keys' scores, then their probabilities; in the end parts of the sum of these.
var<workgroup> weights: array<f32, 256>;
var<workgroup> groups: array<f32, 16>;

/// 0 beyond the keys at hand.
fn weightOf(key: u32) -> f32 {
  if (key >= FEW_KEYS) { return 0.0; }
  return weights[key];
}

/// A workgroup takes one query of one head.
@compute @workgroup_size(FEW_THREADS)
fn few(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  let row = workgroup.y;
  for (var s = index; s < rowsAt(SEGMENT_PLACE, SEGMENT_ROWS); s += FEW_THREADS) {
    let i = row - u32(segmentField(s, 0u));
    if (i < u32(segmentField(s, 1u))) { found = blockOf(s, i, 1u); }
  }
  let taken = workgroupUniformLoad(&found);
  if (taken.rows == 0u) { return; }
  block = taken;
  head = workgroup.x;
  let at = row * HEADS + head;
  if (index < HEAD_DIM) { query[index] = q[at * HEAD_DIM + index] * FACTOR; }
  workgroupBarrier();
  let lane = index % LANES;
  let d = index % WIDE;
  let group = index / WIDE;
  let step = FEW_THREADS / WIDE;
  var most = LOWEST;
  var total = 0.0;
  var sum = 0.0;
  for (var key0 = 0u; key0 < taken.seen; key0 += FEW_KEYS) {
    let keys = min(FEW_KEYS, taken.seen - key0);
    for (var key = index / LANES; key < keys; key += FEW_THREADS / LANES) {
      let start = keyNumber(key0 + key, 0u);
      var dot = 0.0;
      for (var e = lane; e < HEAD_DIM; e += LANES) { dot = fma(query[e], k[start + e], dot); }
      parts[key * (LANES + 1u) + lane] = dot;
    }
    workgroupBarrier();
    var score = HIDDEN;
    if (index < keys) {
      score = 0.0;
      for (var e = 0u; e < LANES; e++) { score += parts[index * (LANES + 1u) + e]; }
    }
    weights[index] = score;
    workgroupBarrier();
    if (index < 16u) {
      var highest = weights[index];
      for (var e = index + 16u; e < FEW_KEYS; e += 16u) { highest = max(highest, weights[e]); }
      groups[index] = highest;
    }
    workgroupBarrier();
    var next = most;
    for (var e = 0u; e < 16u; e++) { next = max(next, groups[e]); }
    let shrink = exp2(most - next);
    let p = exp2(score - next);
    weights[index] = p;
    most = next;
    total = fma(total, shrink, p);
    sum *= shrink;
    workgroupBarrier();
    // Four reads at a time hide each other's latency.
    if (d < HEAD_DIM) {
      for (var key = group; key < keys; key += 4u * step) {
        let v0 = v[keyNumber(key0 + key, d)];
        let v1 = v[keyNumber(min(key0 + key + step, taken.seen - 1u), d)];
        let v2 = v[keyNumber(min(key0 + key + 2u * step, taken.seen - 1u), d)];
        let v3 = v[keyNumber(min(key0 + key + 3u * step, taken.seen - 1u), d)];
        sum = fma(weightOf(key), v0, sum);
        sum = fma(weightOf(key + step), v1, sum);
        sum = fma(weightOf(key + 2u * step), v2, sum);
        sum = fma(weightOf(key + 3u * step), v3, sum);
      }
    }
  }
  workgroupBarrier();
  parts[index] = sum;
  weights[index] = total;
  workgroupBarrier();
  if (index < 16u) {
    total = 0.0;
    for (var e = index; e < FEW_KEYS; e += 16u) { total += weights[e]; }
    groups[index] = total;
  }
  workgroupBarrier();
  total = 0.0;
  for (var e = 0u; e < 16u; e++) { total += groups[e]; }
  if (index < HEAD_DIM) {
    sum = 0.0;
    for (var e = index; e < FEW_THREADS; e += WIDE) { sum += parts[e]; }
    out[at * HEAD_DIM + index] = select(0.0, sum / total, total > 0.0);
  }
  if (index == 0u) { lse[at] = fma(most, LN2, log(total)); }
}
