// What the kernels of attention share; attention.wgsl and attentionGrad.wgsl follow, and define rowNumber and
// columnNumber. A workgroup makes tiles [ROWS, COLUMNS] of queries against keys, or of keys against queries, and sums
// [ROWS, HEAD_DIM] of tiles times matrices. Thread (x, y) has rows 4y … 4y + 3 of both; columns x + ACROSS · j, j < 4,
// of a tile; and quads x + ACROSS · part of the numbers of a sum's row.

@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
/// Rows of queryStart, queryLength, keyStart, keyLength, prefixStart, prefixLength.
@group(0) @binding(4) var<storage, read> segments: array<i32>;

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
/// 1 / √HEAD_DIM
override SCALE: f32;
/// Rows where they are not counted (common.wgsl).
override SEGMENT_ROWS: u32;
override SEGMENT_PLACE: u32 = 16u;
override ACROSS: u32 = 8u;

const THREADS = 128u;
const LN2 = 0.6931471805599453;
const LOG2E = 1.4426950408889634;
/// Probabilities are powers of 2.
override FACTOR: f32 = SCALE * LOG2E;
override ROW_QUADS: u32 = THREADS / ACROSS;
override ROWS: u32 = 4u * ROW_QUADS;
override COLUMNS: u32 = 4u * ACROSS;
/// Quads of a sum's row that a thread has.
override PARTS: u32 = (HEAD_DIM + COLUMNS - 1u) / COLUMNS;
/// Numbers of a head that a product takes at a time, and rows of a matrix that a sum takes.
override DEPTH: u32 = select(16u, 8u, ACROSS > 16u);
override CHUNK: u32 = 256u / ACROSS / select(PARTS, 4u, PARTS == 3u);
/// Places beyond a row's end are read: they count as 0.
override RAGGED: bool = HEAD_DIM % COLUMNS != 0u;

/// A tile as [COLUMNS, ROWS]; then what is staged for a product or a sum. Rows end with a quad that nothing uses, so
/// that columns lie in different banks.
var<workgroup> memory: array<vec4f, 992>;
override LEFT_PITCH: u32 = ROW_QUADS + 1u;
override RIGHT_PITCH: u32 = ACROSS + 1u;
override STAGE: u32 = COLUMNS * LEFT_PITCH;
override RIGHT: u32 = STAGE + DEPTH * LEFT_PITCH;

var<private> thread: u32;
var<private> x: u32;
var<private> y: u32;

fn begin(index: u32) {
  thread = index;
  x = index % ACROSS;
  y = index / ACROSS;
}

/// Column j + left[j] · right
fn addOuter(sums: mat4x4f, left: vec4f, right: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(left.x), right, sums[0]),
    fma(vec4f(left.y), right, sums[1]),
    fma(vec4f(left.z), right, sums[2]),
    fma(vec4f(left.w), right, sums[3]),
  );
}

/// The thread's part of a tile, sums over a head's numbers: column j is the tile's column x + ACROSS · j.
fn product(left: u32, right: u32) -> mat4x4f {
  var sums = mat4x4f();
  for (var d0 = 0u; d0 < HEAD_DIM; d0 += DEPTH) {
    // Neighbouring threads read neighbouring numbers.
    let d = thread % DEPTH;
    for (var quad = thread / DEPTH; quad < ROW_QUADS; quad += THREADS / DEPTH) {
      memory[STAGE + d * LEFT_PITCH + quad] = vec4f(
        rowNumber(left, 4u * quad, d0 + d),
        rowNumber(left, 4u * quad + 1u, d0 + d),
        rowNumber(left, 4u * quad + 2u, d0 + d),
        rowNumber(left, 4u * quad + 3u, d0 + d),
      );
    }
    for (var quad = thread / DEPTH; quad < ACROSS; quad += THREADS / DEPTH) {
      memory[RIGHT + d * RIGHT_PITCH + quad] = vec4f(
        columnNumber(right, quad, d0 + d),
        columnNumber(right, quad + ACROSS, d0 + d),
        columnNumber(right, quad + 2u * ACROSS, d0 + d),
        columnNumber(right, quad + 3u * ACROSS, d0 + d),
      );
    }
    workgroupBarrier();
    for (var e = 0u; e < DEPTH; e++) {
      sums = addOuter(sums, memory[RIGHT + e * RIGHT_PITCH + x], memory[STAGE + e * LEFT_PITCH + y]);
    }
    workgroupBarrier();
  }
  return sums;
}

/// Puts the thread's part of a tile where `addProduct` finds it.
fn storeTile(tile: mat4x4f) {
  memory[x * LEFT_PITCH + y] = tile[0];
  memory[(x + ACROSS) * LEFT_PITCH + y] = tile[1];
  memory[(x + 2u * ACROSS) * LEFT_PITCH + y] = tile[2];
  memory[(x + 3u * ACROSS) * LEFT_PITCH + y] = tile[3];
}

/// A thread's rows of a sum: column r of a part is row 4y + r.
struct Sums {
  part0: mat4x4f,
  part1: mat4x4f,
  part2: mat4x4f,
  part3: mat4x4f,
}

/// Adds the stored tile times a matrix whose rows are the tile's columns.
fn addProduct(sums: ptr<function, Sums>, right: u32) {
  let wide = ACROSS * PARTS;
  for (var column0 = 0u; column0 < COLUMNS; column0 += CHUNK) {
    for (var e = thread; e < CHUNK * wide; e += THREADS) {
      let column = column0 + e / wide;
      let d = 4u * (e % wide);
      memory[STAGE + e] = vec4f(
        columnNumber(right, column, d),
        columnNumber(right, column, d + 1u),
        columnNumber(right, column, d + 2u),
        columnNumber(right, column, d + 3u),
      );
    }
    workgroupBarrier();
    for (var e = 0u; e < CHUNK; e++) {
      let weights = memory[(column0 + e) * LEFT_PITCH + y];
      let at = STAGE + e * wide + x;
      (*sums).part0 = addOuter((*sums).part0, weights, memory[at]);
      if (PARTS > 1u) { (*sums).part1 = addOuter((*sums).part1, weights, memory[at + ACROSS]); }
      if (PARTS > 2u) { (*sums).part2 = addOuter((*sums).part2, weights, memory[at + 2u * ACROSS]); }
      if (PARTS > 3u) { (*sums).part3 = addOuter((*sums).part3, weights, memory[at + 3u * ACROSS]); }
    }
    workgroupBarrier();
  }
}

/// Queries of one segment, and the keys that they see: the prefix, then the segment's own.
struct Block {
  /// First row of q, and how many there are: none in a workgroup too many.
  query: u32,
  rows: u32,
  /// Query i sees the first see + i keys, and the prefix anyway; together they see the first `seen`.
  see: i32,
  seen: u32,
  prefixStart: u32,
  prefixLength: u32,
  keyStart: u32,
}

/// The row of k and v of a key.
fn keyRow(block: Block, key: u32) -> u32 {
  return select(block.keyStart + key - block.prefixLength, block.prefixStart + key, key < block.prefixLength);
}

fn segmentField(s: u32, field: u32) -> i32 { return segments[s * 6u + field]; }

/// Queries first … first + rows of segment s.
fn blockOf(s: u32, first: u32, rows: u32) -> Block {
  let prefix = segmentField(s, 5u);
  let see = prefix + segmentField(s, 3u) - segmentField(s, 1u) + 1 + i32(first);
  return Block(
    u32(segmentField(s, 0u)) + first,
    rows,
    see,
    u32(max(prefix, see + i32(rows) - 1)),
    u32(segmentField(s, 4u)),
    u32(prefix),
    u32(segmentField(s, 2u)),
  );
}

var<workgroup> found: Block;

/// The block at `index` where each segment has as many as its queries need. The last queries, which see most keys,
/// come first.
fn findBlock(index: u32) -> Block {
  let segmentCount = rowsAt(SEGMENT_PLACE, SEGMENT_ROWS);
  var before = 0u;
  for (var s0 = 0u; s0 < segmentCount; s0 += THREADS) {
    let s = s0 + thread;
    var queries = 0u;
    if (s < segmentCount) { queries = u32(segmentField(s, 1u)); }
    let blocks = (queries + ROWS - 1u) / ROWS;
    // Sums of blocks up to each segment; small whole numbers are exact as floats.
    memory[thread].x = f32(blocks);
    workgroupBarrier();
    for (var step = 1u; step < THREADS; step *= 2u) {
      var more = 0.0;
      if (thread >= step) { more = memory[thread - step].x; }
      workgroupBarrier();
      memory[thread].x += more;
      workgroupBarrier();
    }
    let end = before + u32(memory[thread].x);
    if (index < end && index + blocks >= end) {
      let first = (end - 1u - index) * ROWS;
      found = blockOf(s, first, min(ROWS, queries - first));
    }
    before += u32(memory[THREADS - 1u].x);
    workgroupBarrier();
  }
  return workgroupUniformLoad(&found);
}
