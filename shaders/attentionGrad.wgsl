// The gradients of attention, with the probabilities computed again from lse.

@group(0) @binding(5) var<storage, read> out: array<f32>;
@group(0) @binding(6) var<storage, read> lse: array<f32>;
@group(0) @binding(7) var<storage, read> dOut: array<f32>;
/// Of each query and head: lse to base 2, and out · dOut.
@group(0) @binding(8) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(9) var<storage, read_write> dq: array<f32>;
@group(0) @binding(10) var<storage, read_write> dk: array<f32>;
@group(0) @binding(11) var<storage, read_write> dv: array<f32>;

override QUERY_ROWS: u32;
override QUERY_PLACE: u32 = 16u;
override KEY_ROWS: u32;
override KEY_PLACE: u32 = 16u;
/// Rows of tiles are keys, and columns queries.
override BY_KEYS: bool = false;

const QUERIES = 0u;
const KEYS = 1u;
const VALUES = 2u;
const OUT_GRADS = 3u;

/// A team shares a query of a head.
@compute @workgroup_size(THREADS)
fn prepare(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let lane = thread.index % TEAM;
  let at = listIndex(workgroup, workgroups) * (THREADS / TEAM) + thread.index / TEAM;
  let exists = at < rowsAt(QUERY_PLACE, QUERY_ROWS) * HEADS;
  var dot = 0.0;
  if (exists) {
    for (var d = lane; d < HEAD_DIM; d += TEAM) {
      dot = fma(out[at * HEAD_DIM + d], dOut[at * HEAD_DIM + d], dot);
    }
  }
  dot = teamSum(dot, thread);
  if (lane == 0u && exists) { stats[at] = vec2f(lse[at] * LOG2E, dot); }
}

var<private> head: u32;
/// Queries against keys: the queries that a workgroup takes, and the first of the tile's keys.
var<private> block: Block;
var<private> firstKey: u32;
/// Keys against queries: the first of the workgroup's keys, the span that it meets, and the first of the tile's queries.
var<private> keyRow0: u32;
var<private> span: Span;
var<private> firstQuery: u32;

/// What lies beyond the rows and columns at hand is read as their last one, and hidden or not written.
fn rowNumber(matrix: u32, row: u32, d: u32) -> f32 {
  if (BY_KEYS) { return keyNumber(matrix, min(keyRow0 + row, rowsAt(KEY_PLACE, KEY_ROWS) - 1u), d); }
  return queryNumber(matrix, block.query + min(row, block.rows - 1u), d);
}

fn columnNumber(matrix: u32, column: u32, d: u32) -> f32 {
  if (BY_KEYS) { return queryNumber(matrix, span.query + min(firstQuery + column, span.queries - 1u), d); }
  return keyNumber(matrix, keyRow(block, min(firstKey + column, block.seen - 1u)), d);
}

fn queryNumber(matrix: u32, row: u32, d: u32) -> f32 {
  if (RAGGED && d >= HEAD_DIM) { return 0.0; }
  let at = (row * HEADS + head) * HEAD_DIM + d;
  if (matrix == QUERIES) { return q[at]; }
  return dOut[at];
}

fn keyNumber(matrix: u32, row: u32, d: u32) -> f32 {
  if (RAGGED && d >= HEAD_DIM) { return 0.0; }
  let at = (row * KV_HEADS + head * KV_HEADS / HEADS) * HEAD_DIM + d;
  if (matrix == KEYS) { return k[at]; }
  return v[at];
}

/// The gradients of the softmax's input. Those of what is not seen are 0, whatever lies there.
fn throughSoftmax(p: vec4f, dp: vec4f, delta: vec4f) -> vec4f {
  return select(vec4f(), p * (dp - delta), p > vec4f());
}

/// A workgroup takes a block of a segment's queries and one head.
@compute @workgroup_size(THREADS)
fn byQueries(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  begin(index);
  let taken = findBlock(workgroup.y);
  if (taken.rows == 0u) { return; }
  block = taken;
  head = workgroup.x;
  let sees = max(vec4i(i32(taken.prefixLength)), taken.see + 4 * i32(y) + vec4i(0, 1, 2, 3));
  let stats0 = rowStats(0u);
  let stats1 = rowStats(1u);
  let stats2 = rowStats(2u);
  let stats3 = rowStats(3u);
  let exponent = vec4f(stats0.x, stats1.x, stats2.x, stats3.x);
  let delta = vec4f(stats0.y, stats1.y, stats2.y, stats3.y);
  var sums = Sums();
  for (var key0 = 0u; key0 < taken.seen; key0 += COLUMNS) {
    firstKey = key0;
    let scores = product(QUERIES, KEYS);
    let dp = product(OUT_GRADS, VALUES);
    let key = vec4i(i32(key0 + x));
    let p0 = probability(scores[0], exponent, key < sees);
    let p1 = probability(scores[1], exponent, key + i32(ACROSS) < sees);
    let p2 = probability(scores[2], exponent, key + i32(2u * ACROSS) < sees);
    let p3 = probability(scores[3], exponent, key + i32(3u * ACROSS) < sees);
    storeTile(mat4x4f(
      throughSoftmax(p0, dp[0], delta),
      throughSoftmax(p1, dp[1], delta),
      throughSoftmax(p2, dp[2], delta),
      throughSoftmax(p3, dp[3], delta),
    ));
    addProduct(&sums, KEYS);
  }
  storeQueryPart(sums.part0, 0u);
  if (PARTS > 1u) { storeQueryPart(sums.part1, 1u); }
  if (PARTS > 2u) { storeQueryPart(sums.part2, 2u); }
  if (PARTS > 3u) { storeQueryPart(sums.part3, 3u); }
}

fn probability(scores: vec4f, exponent: vec4f, seen: vec4<bool>) -> vec4f {
  return select(vec4f(), exp2(fma(scores, vec4f(FACTOR), -exponent)), seen);
}

fn rowStats(r: u32) -> vec2f {
  return stats[(block.query + min(4u * y + r, block.rows - 1u)) * HEADS + head];
}

fn storeQueryPart(part: mat4x4f, n: u32) {
  let column = 4u * (x + ACROSS * n);
  storeQueryRow(4u * y, column, part[0]);
  storeQueryRow(4u * y + 1u, column, part[1]);
  storeQueryRow(4u * y + 2u, column, part[2]);
  storeQueryRow(4u * y + 3u, column, part[3]);
}

fn storeQueryRow(row: u32, column: u32, numbers: vec4f) {
  if (row >= block.rows) { return; }
  let at = ((block.query + row) * HEADS + head) * HEAD_DIM + column;
  for (var e = 0u; e < 4u; e++) {
    if (!RAGGED || column + e < HEAD_DIM) { dq[at + e] = numbers[e] * SCALE; }
  }
}

/// A segment's own keys or its prefix, as far as a workgroup's keys are among them, and the queries that see them.
struct Span {
  /// Rows of k from `start` on, before `end`; query i sees those before see + i.
  start: i32,
  end: i32,
  see: i32,
  /// First row of q, the first query that sees any of the keys, and queries in all.
  query: u32,
  firstQuery: u32,
  queries: u32,
}

var<workgroup> next: atomic<u32>;
var<workgroup> met: Span;

/// Span n: segment n / 2's own keys (n even) or its prefix.
fn spanAt(n: u32) -> Span {
  let s = n / 2u;
  let queries = segmentField(s, 1u);
  let prefix = n % 2u == 1u;
  let first = segmentField(s, select(2u, 4u, prefix));
  let length = segmentField(s, select(3u, 5u, prefix));
  let start = max(first, i32(keyRow0));
  let see = first + length + select(1 - queries, 0, prefix);
  return Span(
    start,
    min(first + length, i32(keyRow0 + ROWS)),
    see,
    u32(segmentField(s, 0u)),
    u32(max(0, start - see + 1)),
    u32(queries),
  );
}

/// The first span from span n on that meets the workgroup's keys, and where to look from then; no queries when there
/// are no more.
fn nextSpan(n: u32) -> u32 {
  let spans = 2u * rowsAt(SEGMENT_PLACE, SEGMENT_ROWS);
  if (thread == 0u) {
    atomicStore(&next, spans);
    met = Span();
  }
  workgroupBarrier();
  for (var i = n + thread; i < spans; i += THREADS) {
    let candidate = spanAt(i);
    if (candidate.start < candidate.end && candidate.firstQuery < candidate.queries) {
      atomicMin(&next, i);
      break;
    }
  }
  workgroupBarrier();
  let chosen = atomicLoad(&next);
  if (thread == 0u && chosen < spans) { met = spanAt(chosen); }
  return chosen + 1u;
}

/// A workgroup takes a block of rows of k and v and one head of them.
@compute @workgroup_size(THREADS)
fn byKeys(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) index: u32) {
  begin(index);
  keyRow0 = workgroup.y * ROWS;
  let row = i32(keyRow0 + 4u * y) + vec4i(0, 1, 2, 3);
  let group = HEADS / KV_HEADS;
  var dkSums = Sums();
  var dvSums = Sums();
  var n = nextSpan(0u);
  var taken = workgroupUniformLoad(&met);
  while (taken.queries > 0u) {
    span = taken;
    let inside = (row >= vec4i(taken.start)) & (row < vec4i(taken.end));
    for (var query0 = taken.firstQuery; query0 < taken.queries; query0 += COLUMNS) {
      firstQuery = query0;
      for (var member = 0u; member < group; member++) {
        head = workgroup.x * group + member;
        let scores = product(KEYS, QUERIES);
        let dp = product(VALUES, OUT_GRADS);
        let stats0 = columnStats(0u);
        let stats1 = columnStats(1u);
        let stats2 = columnStats(2u);
        let stats3 = columnStats(3u);
        let p0 = probability(scores[0], vec4f(stats0.x), inside & isSeen(row, 0u));
        let p1 = probability(scores[1], vec4f(stats1.x), inside & isSeen(row, 1u));
        let p2 = probability(scores[2], vec4f(stats2.x), inside & isSeen(row, 2u));
        let p3 = probability(scores[3], vec4f(stats3.x), inside & isSeen(row, 3u));
        storeTile(mat4x4f(p0, p1, p2, p3));
        addProduct(&dvSums, OUT_GRADS);
        storeTile(mat4x4f(
          throughSoftmax(p0, dp[0], vec4f(stats0.y)),
          throughSoftmax(p1, dp[1], vec4f(stats1.y)),
          throughSoftmax(p2, dp[2], vec4f(stats2.y)),
          throughSoftmax(p3, dp[3], vec4f(stats3.y)),
        ));
        addProduct(&dkSums, QUERIES);
      }
    }
    n = nextSpan(n);
    taken = workgroupUniformLoad(&met);
  }
  let rows = rowsAt(KEY_PLACE, KEY_ROWS);
  storeKeyPart(dkSums.part0, dvSums.part0, 0u, workgroup.x, rows);
  if (PARTS > 1u) { storeKeyPart(dkSums.part1, dvSums.part1, 1u, workgroup.x, rows); }
}

/// Whether the query of the thread's column j sees keys.
fn isSeen(row: vec4i, j: u32) -> vec4<bool> {
  let query = firstQuery + x + ACROSS * j;
  return (row < vec4i(span.see + i32(query))) & vec4<bool>(query < span.queries);
}

fn columnStats(j: u32) -> vec2f {
  return stats[(span.query + min(firstQuery + x + ACROSS * j, span.queries - 1u)) * HEADS + head];
}

fn storeKeyPart(keys: mat4x4f, values: mat4x4f, n: u32, keyHead: u32, rows: u32) {
  let column = 4u * (x + ACROSS * n);
  storeKeyRow(4u * y, column, keys[0], values[0], keyHead, rows);
  storeKeyRow(4u * y + 1u, column, keys[1], values[1], keyHead, rows);
  storeKeyRow(4u * y + 2u, column, keys[2], values[2], keyHead, rows);
  storeKeyRow(4u * y + 3u, column, keys[3], values[3], keyHead, rows);
}

fn storeKeyRow(row: u32, column: u32, keys: vec4f, values: vec4f, keyHead: u32, rows: u32) {
  if (keyRow0 + row >= rows) { return; }
  let at = ((keyRow0 + row) * KV_HEADS + keyHead) * HEAD_DIM + column;
  for (var e = 0u; e < 4u; e++) {
    if (!RAGGED || column + e < HEAD_DIM) {
      dk[at + e] = keys[e] * SCALE;
      dv[at + e] = values[e];
    }
  }
}
