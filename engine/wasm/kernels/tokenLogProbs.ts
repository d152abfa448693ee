// Log-probabilities of labels, log softmax(hidden · weightᵀ)[label], and their gradients, with a few rows of logits
// at a time. Logits are computed transposed, [vocabulary, tokens]: each row of weight is then packed once, by the
// thread that multiplies it, hidden is packed once for all, and four tokens are one vector.

import { floatRows } from './blocks';
import { gemmBlock, padded } from './gemm';
import { exp4, logf } from './math';
import { addressAt, intAt, nextTask } from './record';

/** Rows of weight whose logits are computed at a time. */
const BLOCK: i32 = 96;

// State of a token over the logits l seen so far, as rows [width] that lie `stride` bytes apart:
// 0 max l · 1 Σ e · 2 Σ e² · 3 Σ e (l − max) · 4 Σ l, where e = exp(l − max); the last three for statistics alone.

@inline function stateRows(statistics: bool): i32 { return statistics ? 5 : 2; }

/** max[n] = the larger of max and logits. */
export function maxLogits(max: usize, logits: usize, n: i32): void {
  const end = <usize>n << 2;
  for (let j: usize = 0; j < end; j += 16) v128.store(max + j, f32x4.pmax(v128.load(max + j), v128.load(logits + j)));
}

/** State, told in terms of its max, told in terms of a larger one: max' = the larger of max and `other`. */
export function raiseMax(state: usize, stride: usize, other: usize, n: i32, statistics: bool): void {
  const sums = state + stride, squares = sums + stride, products = squares + stride;
  const end = <usize>n << 2;
  for (let j: usize = 0; j < end; j += 16) {
    const old = v128.load(state + j), max = f32x4.pmax(old, v128.load(other + j));
    const shift = f32x4.sub(old, max), factor = exp4(shift), sum = v128.load(sums + j);
    v128.store(state + j, max);
    v128.store(sums + j, f32x4.mul(factor, sum));
    if (statistics) {
      v128.store(squares + j, f32x4.mul(f32x4.mul(factor, factor), v128.load(squares + j)));
      v128.store(products + j, f32x4.mul(factor, f32x4.add(v128.load(products + j), f32x4.mul(sum, shift))));
    }
  }
}

/** One row of logits, none above its max, into the state. */
export function sumLogits(state: usize, stride: usize, logits: usize, n: i32): void {
  const sums = state + stride, end = <usize>n << 2;
  for (let j: usize = 0; j < end; j += 16) {
    const e = exp4(f32x4.sub(v128.load(logits + j), v128.load(state + j)));
    v128.store(sums + j, f32x4.add(v128.load(sums + j), e));
  }
}

/** As sumLogits, with statistics. */
export function sumStatistics(state: usize, stride: usize, logits: usize, n: i32): void {
  const sums = state + stride, squares = sums + stride, products = squares + stride, totals = products + stride;
  const end = <usize>n << 2;
  for (let j: usize = 0; j < end; j += 16) {
    const l = v128.load(logits + j), below = f32x4.sub(l, v128.load(state + j)), e = exp4(below);
    v128.store(sums + j, f32x4.add(v128.load(sums + j), e));
    v128.store(squares + j, f32x4.add(v128.load(squares + j), f32x4.mul(e, e)));
    v128.store(products + j, f32x4.add(v128.load(products + j), f32x4.mul(e, below)));
    v128.store(totals + j, f32x4.add(v128.load(totals + j), l));
  }
}

/** to[n] = x, n a multiple of 4. */
export function fillRow(to: usize, x: f32, n: i32): void {
  const end = <usize>n << 2, xs = f32x4.splat(x);
  for (let j: usize = 0; j < end; j += 16) v128.store(to + j, xs);
}

/**
 * State of each group of the vocabulary, and each label's logit. The groups are the same whatever the threads.
 * Fields: 1 hidden, packed by packB as [C, N] · 2 weight [V, C] · 3 labels [N] · 4 N · 5 C · 6 V ·
 * 7 rows of weight in a group · 8 states [group][2 or 5][stride] · 9 stride in bytes · 10 statistics ·
 * 11 label logits [stride] · 12 scratch · 13 bytes of scratch of each thread · 14 bytes of them for gemmBlock ·
 * 15 format of weight · 16 bytes of its rows · 17 bytes of scratch before a block of its rows that is unpacked ·
 * 18 where all logits are kept, [V][stride], or 0
 */
export function tokenLogProbsGroups(p: usize, thread: i32, threads: i32): void {
  const hidden = addressAt(p, 1), weight = addressAt(p, 2), labels = addressAt(p, 3);
  const N = intAt(p, 4), C = intAt(p, 5), V = intAt(p, 6), rows = intAt(p, 7);
  const states = addressAt(p, 8), stride = addressAt(p, 9), statistics = intAt(p, 10) != 0;
  const labelLogits = addressAt(p, 11), scratch = addressAt(p, 12) + <usize>thread * addressAt(p, 13);
  const blockMax = scratch + addressAt(p, 14), kept = addressAt(p, 18);
  if (N == 0) return;
  const format = intAt(p, 15), rowBytes = addressAt(p, 16), unpacked = scratch + addressAt(p, 17);
  const width = padded(N), groups = (V + rows - 1) / rows, ldw = <usize>C << 2;
  for (let group = nextTask(p); group < groups; group = nextTask(p)) {
    const state = states + <usize>group * stride * stateRows(statistics);
    fillRow(state, -f32.MAX_VALUE, width);
    for (let i = 1; i < stateRows(statistics); i++) fillRow(state + <usize>i * stride, 0, width);
    const end = min(V, (group + 1) * rows);
    for (let v0 = group * rows; v0 < end; v0 += BLOCK) {
      const m = min(BLOCK, end - v0), logits = kept ? kept + <usize>v0 * stride : blockMax + stride;
      const block = floatRows(format, weight + <usize>v0 * rowBytes, rowBytes, m, C, unpacked);
      gemmBlock(block, ldw, false, hidden, 0, width, 0, logits, stride, m, width, C, 0, 0, scratch);
      fillRow(blockMax, -f32.MAX_VALUE, width);
      for (let v = 0; v < m; v++) maxLogits(blockMax, logits + <usize>v * stride, width);
      raiseMax(state, stride, blockMax, width, statistics);
      for (let v = 0; v < m; v++) {
        if (statistics) sumStatistics(state, stride, logits + <usize>v * stride, width);
        else sumLogits(state, stride, logits + <usize>v * stride, width);
      }
      for (let i: usize = 0; i < <usize>N; i++) {
        const v = load<i32>(labels + (i << 2)) - v0;
        if (<u32>v < <u32>m) store<f32>(labelLogits + (i << 2), load<f32>(logits + <usize>v * stride + (i << 2)));
      }
    }
  }
}

/** The state of two disjoint parts of the vocabulary: into + from, both told in terms of the larger max. */
export function mergeStates(into: usize, from: usize, stride: usize, n: i32, statistics: bool): void {
  raiseMax(into, stride, from, n, statistics);
  raiseMax(from, stride, into, n, statistics);
  const end = <usize>n << 2;
  for (let i = 1; i < stateRows(statistics); i++) {
    into += stride;
    from += stride;
    for (let j: usize = 0; j < end; j += 16) v128.store(into + j, f32x4.add(v128.load(into + j), v128.load(from + j)));
  }
}

/**
 * Log-probs, log-sum-exps and statistics from the groups' states, merged in their order.
 * Fields: 1 states · 2 stride in bytes · 3 groups · 4 label logits · 5 N · 6 V · 7 log-probs [N] ·
 * 8 log-sum-exps [N] · 9 statistics [N, 4] or 0 · 10 labels [N]
 */
export function tokenLogProbsMerge(p: usize, thread: i32, threads: i32): void {
  const stride = addressAt(p, 2), groups = intAt(p, 3), N = intAt(p, 5);
  const logps = addressAt(p, 7), lses = addressAt(p, 8), statistics = addressAt(p, 9);
  const bytes = stride * stateRows(statistics != 0);
  // A task is 32 tokens.
  const tasks = (N + 31) / 32;
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const offset = <usize>task << 7, n = min(32, N - task * 32);
    const state = addressAt(p, 1) + offset;
    for (let g: usize = 1; g < <usize>groups; g++)
      mergeStates(state, state + g * bytes, stride, padded(n), statistics != 0);
    const label = addressAt(p, 4) + offset;
    for (let j: usize = 0; j < <usize>n << 2; j += 4) {
      const at = state + j, max = load<f32>(at), sum = load<f32>(at + stride), logSum = logf(sum);
      // A label outside of the vocabulary has the logit 0, as in the op's definition.
      const known = load<u32>(addressAt(p, 10) + offset + j) < <u32>intAt(p, 6);
      const logit = known ? load<f32>(label + j) : 0;
      store<f32>(logps + offset + j, logit - max - logSum);
      store<f32>(lses + offset + j, max + logSum);
      if (statistics) {
        const to = statistics + ((offset + j) << 2), row = at + 2 * stride;
        store<f32>(to, load<f32>(row) / (sum * sum));
        store<f32>(to, logSum - load<f32>(row + stride) / sum, 4);
        store<f32>(to, load<f32>(row + 2 * stride) / <f32>intAt(p, 6), 8);
        store<f32>(to, logit >= max ? 1 : 0, 12);
      }
    }
  }
}

/** Of one entry of the vocabulary: to[n] = −dLogps · exp(logits − lses); `to` may be logits. */
export function logitGradients(logits: usize, lses: usize, dLogps: usize, to: usize, n: i32): void {
  const end = <usize>n << 2;
  for (let j: usize = 0; j < end; j += 16) {
    const probability = exp4(f32x4.sub(v128.load(logits + j), v128.load(lses + j)));
    v128.store(to + j, f32x4.neg(f32x4.mul(v128.load(dLogps + j), probability)));
  }
}

/** to[width] = from[n], then zeros. */
function copyPadded(to: usize, from: usize, n: i32, width: i32): void {
  for (let j = 0; j < width; j++) store<f32>(to + (<usize>j << 2), j < n ? load<f32>(from + (<usize>j << 2)) : 0);
}

/**
 * A chunk of the vocabulary: its dLogits, transposed, and its rows of dWeight = dLogitsᵀ · hidden (+ accumulate).
 * Fields: 1 hidden, packed by packB as [C, N] · 2 hidden, packed by packB as [N, C] · 3 weight [V, C] · 4 labels [N] ·
 * 5 lses [N] · 6 dLogps [N] · 7 N · 8 C · 9 first row of the chunk · 10 rows of the chunk ·
 * 11 dLogits [rows][stride] · 12 stride in bytes · 13 dWeight [V, C] · 14 accumulate [V, C] or 0 (may be dWeight) ·
 * 15 scratch · 16 bytes of scratch of each thread · 17 bytes of them for gemmBlock · 18 format of weight ·
 * 19 bytes of its rows · 20 bytes of scratch before a block of its rows that is unpacked · 21 the chunk's logits
 * [rows][stride] (may be its dLogits), or 0: they are computed again. dWeight 0: it is frozen.
 */
export function tokenLogProbsGradChunk(p: usize, thread: i32, threads: i32): void {
  const hiddenT = addressAt(p, 1), hidden = addressAt(p, 2), weight = addressAt(p, 3), labels = addressAt(p, 4);
  const N = intAt(p, 7), C = intAt(p, 8), first = intAt(p, 9), rows = intAt(p, 10);
  const stride = addressAt(p, 12), base = addressAt(p, 14);
  const scratch = addressAt(p, 15) + <usize>thread * addressAt(p, 16);
  const lses = scratch + addressAt(p, 17), dLogps = lses + stride;
  const dWeight = addressAt(p, 13), format = intAt(p, 18), rowBytes = addressAt(p, 19);
  const unpacked = scratch + addressAt(p, 20), kept = addressAt(p, 21);
  const width = padded(N), ldw = <usize>C << 2, tasks = (rows + BLOCK - 1) / BLOCK;
  copyPadded(lses, addressAt(p, 5), N, width);
  copyPadded(dLogps, addressAt(p, 6), N, width);
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const m = min(BLOCK, rows - task * BLOCK), v0 = first + task * BLOCK, at = <usize>v0 * ldw;
    const dLogits = addressAt(p, 11) + <usize>(task * BLOCK) * stride;
    const logits = kept ? kept + <usize>(task * BLOCK) * stride : dLogits;
    if (N && !kept) {
      const block = floatRows(format, weight + <usize>v0 * rowBytes, rowBytes, m, C, unpacked);
      gemmBlock(block, ldw, false, hiddenT, 0, width, 0, dLogits, stride, m, width, C, 0, 0, scratch);
    }
    for (let v = 0; v < m; v++) {
      const row = <usize>v * stride;
      logitGradients(logits + row, lses, dLogps, dLogits + row, width);
    }
    for (let i: usize = 0; i < <usize>N; i++) {
      const v = load<i32>(labels + (i << 2)) - v0;
      if (<u32>v >= <u32>m) continue;
      const label = dLogits + <usize>v * stride + (i << 2);
      store<f32>(label, load<f32>(label) + load<f32>(dLogps + (i << 2)));
    }
    if (dWeight == 0) continue;
    const to = dWeight + at;
    gemmBlock(dLogits, stride, false, hidden, 0, padded(C), 0, to, ldw, m, C, N, base ? base + at : 0, ldw, scratch);
  }
}
