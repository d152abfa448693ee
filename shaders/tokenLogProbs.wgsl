// Log-probabilities of labels and their gradients, from the logits of a chunk of the vocabulary at a time.

/// [rows, entries of the chunk].
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
/// Only its length is read: one more than there are chunks before this one.
@group(0) @binding(2) var<storage, read> chunks: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<i32>;
/// Of each row over the chunks so far: (max l, the label's l, 0, 0) and (Σe, Σe², Σe(l − max), Σl), e = exp(l − max).
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> logps: array<f32>;
@group(0) @binding(6) var<storage, read_write> lses: array<f32>;
/// STATISTICS of engine/ops/tokenLogProbs.ts.
@group(0) @binding(7) var<storage, read_write> statistics: array<vec4f>;
// Of the gradient.
@group(0) @binding(8) var<storage, read> logSums: array<f32>;
@group(0) @binding(9) var<storage, read> dLogps: array<f32>;

override ROWS: u32 = 1u;
override VOCABULARY: u32 = 1u;
/// Entries of a chunk; the last one may have fewer.
override CHUNK: u32 = 1u;
override STATISTICS: bool = false;

const LOWEST = -0x1.fffffep+127f;

/// The chunk's first entry in the vocabulary.
fn firstEntry() -> u32 { return (arrayLength(&chunks) - 1u) * CHUNK; }

/// A state's sums when its max is `shift` higher than the one that they were made with (shift ≤ 0).
fn rescaled(sums: vec4f, shift: f32) -> vec4f {
  let factor = exp(shift);
  return vec4f(factor * sums.x, factor * factor * sums.y, factor * (sums.z + shift * sums.x), sums.w);
}

/// Brings a chunk of one row's logits into its state; after the last chunk, the row's results.
@compute @workgroup_size(THREADS)
fn addChunk(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let row = listIndex(workgroup, workgroups);
  if (row >= rowsAt(PLACE, ROWS)) { return; }
  let first = firstEntry();
  let entries = min(CHUNK, VOCABULARY - first);
  let start = row * entries;
  var most = LOWEST;
  for (var v = thread.index; v < entries; v += THREADS) { most = max(most, logits[start + v]); }
  let chunkMax = teamMax(most, thread);
  var mine = vec4f();
  for (var v = thread.index; v < entries; v += THREADS) {
    let l = logits[start + v];
    let e = exp(l - chunkMax);
    mine += vec4f(e, e * e, e * (l - chunkMax), l);
  }
  var total = teamSum4(mine, thread);
  if (thread.index > 0u) { return; }
  var top = vec4f(chunkMax, 0.0, 0.0, 0.0);
  if (first > 0u) {
    top = states[2u * row];
    let higher = max(top.x, chunkMax);
    total = rescaled(states[2u * row + 1u], top.x - higher) + rescaled(total, chunkMax - higher);
    top.x = higher;
  }
  // A label outside of the vocabulary has the logit 0, as in the op's definition.
  let label = u32(labels[row]) - first;
  if (label < entries) { top.y = logits[start + label]; }
  if (first + entries < VOCABULARY) {
    states[2u * row] = top;
    states[2u * row + 1u] = total;
    return;
  }
  let logSum = log(total.x);
  logps[row] = top.y - top.x - logSum;
  lses[row] = top.x + logSum;
  if (STATISTICS) {
    statistics[row] = vec4f(
      total.y / (total.x * total.x),
      logSum - total.z / total.x,
      total.w / f32(VOCABULARY),
      select(0.0, 1.0, top.y >= top.x),
    );
  }
}

/// dLogits where the logits lie: dLogps · (1 at the label − exp(l − log Σ exp l)).
@compute @workgroup_size(THREADS)
fn dLogits(list: List) {
  let first = firstEntry();
  let entries = min(CHUNK, VOCABULARY - first);
  let n = rowsAt(PLACE, ROWS) * entries;
  for (var e = 0u; e < EACH; e++) {
    let i = listAt(list, e);
    if (i >= n) { return; }
    let row = i / entries;
    let label = select(0.0, 1.0, u32(labels[row]) == first + i % entries);
    logits[i] = dLogps[row] * (label - exp(logits[i] - logSums[row]));
  }
}
