// Products with few rows (generation: one token at a time), which are as fast as B comes from memory: B is read once,
// where it lies. Each sum runs over k in one order, whatever the threads.

import { addressAt, fma, intAt, nextTask } from './record';

@inline function sumLanes(x: v128): f32 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Σ x[k] · w[k]. */
export function dot(x: usize, w: usize, K: i32): f32 {
  const end = <usize>K << 2, whole = end & ~31;
  let even = f32x4.splat(0), odd = even;
  let k: usize = 0;
  for (; k < whole; k += 32) {
    even = fma(v128.load(x + k), v128.load(w + k), even);
    odd = fma(v128.load(x + k, 16), v128.load(w + k, 16), odd);
  }
  let sum = sumLanes(f32x4.add(even, odd));
  for (; k < end; k += 4) sum += load<f32>(x + k) * load<f32>(w + k);
  return sum;
}

/** The dots of x with four rows of w, `ldw` bytes apart; the bits that `dot` gives. */
export function dot4(x: usize, w: usize, ldw: usize, K: i32): v128 {
  const w1 = w + ldw, w2 = w1 + ldw, w3 = w2 + ldw;
  const end = <usize>K << 2, whole = end & ~31;
  let even0 = f32x4.splat(0), even1 = even0, even2 = even0, even3 = even0;
  let odd0 = even0, odd1 = even0, odd2 = even0, odd3 = even0;
  let k: usize = 0;
  for (; k < whole; k += 32) {
    const left = v128.load(x + k), right = v128.load(x + k, 16);
    even0 = fma(left, v128.load(w + k), even0);
    odd0 = fma(right, v128.load(w + k, 16), odd0);
    even1 = fma(left, v128.load(w1 + k), even1);
    odd1 = fma(right, v128.load(w1 + k, 16), odd1);
    even2 = fma(left, v128.load(w2 + k), even2);
    odd2 = fma(right, v128.load(w2 + k, 16), odd2);
    even3 = fma(left, v128.load(w3 + k), even3);
    odd3 = fma(right, v128.load(w3 + k, 16), odd3);
  }
  let s0 = sumLanes(f32x4.add(even0, odd0)), s1 = sumLanes(f32x4.add(even1, odd1));
  let s2 = sumLanes(f32x4.add(even2, odd2)), s3 = sumLanes(f32x4.add(even3, odd3));
  for (; k < end; k += 4) {
    const v = load<f32>(x + k);
    s0 += v * load<f32>(w + k);
    s1 += v * load<f32>(w1 + k);
    s2 += v * load<f32>(w2 + k);
    s3 += v * load<f32>(w3 + k);
  }
  return f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(s0), 1, s1), 2, s2), 3, s3);
}

/** c[n] += Σ x[p] · w[p, n] over eight rows of w, `ldw` bytes apart, in the order of p. */
export function addRows8(c: usize, x: usize, w: usize, ldw: usize, n: i32): void {
  const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 4), x2 = v128.load32_splat(x, 8);
  const x3 = v128.load32_splat(x, 12), x4 = v128.load32_splat(x, 16), x5 = v128.load32_splat(x, 20);
  const x6 = v128.load32_splat(x, 24), x7 = v128.load32_splat(x, 28);
  const w1 = w + ldw, w2 = w1 + ldw, w3 = w2 + ldw, w4 = w3 + ldw, w5 = w4 + ldw, w6 = w5 + ldw, w7 = w6 + ldw;
  const end = <usize>n << 2, whole = end & ~15;
  let j: usize = 0;
  for (; j < whole; j += 16) {
    let sum = fma(x0, v128.load(w + j), v128.load(c + j));
    sum = fma(x1, v128.load(w1 + j), sum);
    sum = fma(x2, v128.load(w2 + j), sum);
    sum = fma(x3, v128.load(w3 + j), sum);
    sum = fma(x4, v128.load(w4 + j), sum);
    sum = fma(x5, v128.load(w5 + j), sum);
    sum = fma(x6, v128.load(w6 + j), sum);
    sum = fma(x7, v128.load(w7 + j), sum);
    v128.store(c + j, sum);
  }
  for (; j < end; j += 4)
    for (let p: usize = 0; p < 8; p++)
      store<f32>(c + j, load<f32>(c + j) + load<f32>(x + (p << 2)) * load<f32>(w + p * ldw + j));
}

/** c[n] += x · w[n]. */
export function addRow1(c: usize, x: f32, w: usize, n: i32): void {
  const end = <usize>n << 2, whole = end & ~15, xs = f32x4.splat(x);
  let j: usize = 0;
  for (; j < whole; j += 16) v128.store(c + j, fma(xs, v128.load(w + j), v128.load(c + j)));
  for (; j < end; j += 4) store<f32>(c + j, load<f32>(c + j) + x * load<f32>(w + j));
}

/** bias + accumulate, with which element j of a row of C begins; biasStep = 0 repeats one bias. */
@inline function initial(bias: usize, biasStep: usize, base: usize, j: usize): f32 {
  return (bias ? load<f32>(bias + j * biasStep) : 0) + (base ? load<f32>(base + (j << 2)) : 0);
}

/**
 * C[M, N] = X[M, K] · W[N, K]ᵀ + bias + accumulate for few rows M.
 * Fields of both: 1 x · 2 ldx · 3 w · 4 ldw · 5 c · 6 ldc · 7 accumulate [M, N] or 0 (may be c) · 8 bias or 0 ·
 * 9 bytes from one bias to the next · 10 M · 11 N · 12 K. Strides are in bytes.
 */
export function gemvRows(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), ldx = addressAt(p, 2), w = addressAt(p, 3), ldw = addressAt(p, 4);
  const c = addressAt(p, 5), ldc = addressAt(p, 6), base = addressAt(p, 7), bias = addressAt(p, 8);
  const biasStep = addressAt(p, 9), M = intAt(p, 10), N = intAt(p, 11), K = intAt(p, 12);
  const share = (N + 4 * threads - 1) / (4 * threads), rows = max(4, min(share + 3, 131072 / max(K, 1)) & -4);
  const tasks = (N + rows - 1) / rows;
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    // Four streams through the quarters of at most 512 KiB of W: long streams are what the prefetcher follows, and
    // four of them hide the memory's latency (10, 13 and 20 GB/s by four adjacent rows, one row, four quarters).
    const first = task * rows, n = min(rows, N - first), quarter = n >> 2;
    for (let q = 0; q < quarter; q++) {
      const j = first + q, j1 = j + quarter, j2 = j1 + quarter, j3 = j2 + quarter;
      for (let i: usize = 0; i < <usize>M; i++) {
        const row = c + i * ldc, init = base ? base + i * ldc : 0;
        const dots = dot4(x + i * ldx, w + <usize>j * ldw, <usize>quarter * ldw, K);
        store<f32>(row + (<usize>j << 2), initial(bias, biasStep, init, j) + f32x4.extract_lane(dots, 0));
        store<f32>(row + (<usize>j1 << 2), initial(bias, biasStep, init, j1) + f32x4.extract_lane(dots, 1));
        store<f32>(row + (<usize>j2 << 2), initial(bias, biasStep, init, j2) + f32x4.extract_lane(dots, 2));
        store<f32>(row + (<usize>j3 << 2), initial(bias, biasStep, init, j3) + f32x4.extract_lane(dots, 3));
      }
    }
    for (let j = first + 4 * quarter; j < first + n; j++)
      for (let i: usize = 0; i < <usize>M; i++) {
        const sum = dot(x + i * ldx, w + <usize>j * ldw, K);
        store<f32>(c + i * ldc + (<usize>j << 2), initial(bias, biasStep, base ? base + i * ldc : 0, j) + sum);
      }
  }
}

/** C[M, N] = X[M, K] · W[K, N] + bias + accumulate for few rows M; fields as gemvRows. */
export function gemvColumns(p: usize, thread: i32, threads: i32): void {
  const x = addressAt(p, 1), ldx = addressAt(p, 2), w = addressAt(p, 3), ldw = addressAt(p, 4);
  const c = addressAt(p, 5), ldc = addressAt(p, 6), base = addressAt(p, 7), bias = addressAt(p, 8);
  const biasStep = addressAt(p, 9), M = intAt(p, 10), N = intAt(p, 11), K = intAt(p, 12);
  // A task is a strip of whole cache lines of columns; of C at most 16 KiB, which stay in L1.
  const share = (N + 2 * threads - 1) / (2 * threads), columns = max(64, min(4096, (share + 15) & -16));
  const tasks = (N + columns - 1) / columns;
  for (let task = nextTask(p); task < tasks; task = nextTask(p)) {
    const j0 = task * columns, n = min(columns, N - j0);
    const at = <usize>j0 << 2;
    for (let i: usize = 0; i < <usize>M; i++)
      for (let j: usize = j0; j < <usize>(j0 + n); j++)
        store<f32>(c + i * ldc + (j << 2), initial(bias, biasStep, base ? base + i * ldc : 0, j));
    let k = 0;
    for (; k + 8 <= K; k += 8)
      for (let i: usize = 0; i < <usize>M; i++)
        addRows8(c + i * ldc + at, x + i * ldx + (<usize>k << 2), w + <usize>k * ldw + at, ldw, n);
    for (; k < K; k++)
      for (let i: usize = 0; i < <usize>M; i++)
        addRow1(c + i * ldc + at, load<f32>(x + i * ldx + (<usize>k << 2)), w + <usize>k * ldw + at, n);
  }
}
