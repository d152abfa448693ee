// Optimizer updates as PyTorch computes them, in place; and the norm of all gradients.

@group(0) @binding(1) var<storage, read_write> param: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> moment1: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> moment2: array<vec4f>;
/// HYPER_FIELDS of engine/ops/optimizer.ts.
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> gradScale: array<f32>;
/// The moments where they are bf16: four numbers in two words.
@group(0) @binding(16) var<storage, read_write> packed1: array<vec2u>;
@group(0) @binding(17) var<storage, read_write> packed2: array<vec2u>;

/// Whether the weight decay applies to this parameter.
override DECAY: bool = false;

const LEARNING_RATE = 0u;
const WEIGHT_DECAY = 1u;
const BETA1 = 2u;
const BETA2 = 3u;
const EPSILON = 4u;
const CORRECTION1 = 5u;
const CORRECTION2 = 6u;
const ALPHA = 7u;
const ROUNDING_SEED = 8u;

fn decay() -> f32 {
  if (DECAY) { return hyper[WEIGHT_DECAY]; }
  return 0.0;
}

fn unpackPairs(pairs: vec2u) -> vec4f {
  return bitcast<vec4f>(vec4u(pairs.x << 16u, pairs.x & 0xffff0000u, pairs.y << 16u, pairs.y & 0xffff0000u));
}

/// Rounds each number to one of its neighbours in bf16 by 16 random bits (roundRandomly of engine/bfloat16.ts).
fn packPairs(x: vec4f, random: vec4u) -> vec2u {
  let bits = bitcast<vec4u>(x) + random;
  return (bits.xz >> vec2u(16u)) | (bits.yw & vec2u(0xffff0000u));
}

/// 32 random bits for each element of vector i.
fn randomAt(i: u32) -> vec4u {
  let first = 4u * i * INDEX_FACTOR + u32(hyper[ROUNDING_SEED]) * SEED_FACTOR;
  return vec4u(
    counterHash(first),
    counterHash(first + INDEX_FACTOR),
    counterHash(first + 2u * INDEX_FACTOR),
    counterHash(first + 3u * INDEX_FACTOR),
  );
}

/// AdamW (Loshchilov & Hutter, arXiv 1711.05101): moment1 is m, moment2 is v.
@compute @workgroup_size(THREADS)
fn adamw(list: List) {
  let i = listVector(list);
  if (i >= arrayLength(&param)) { return; }
  let g = grad[i] * gradScale[0];
  let m = nextMean(moment1[i], g);
  let v = nextSquare(moment2[i], g, hyper[BETA2]);
  moment1[i] = m;
  moment2[i] = v;
  adamwStep(i, m, v);
}

@compute @workgroup_size(THREADS)
fn adamwBf16(list: List) {
  let i = listVector(list);
  if (i >= arrayLength(&param)) { return; }
  let g = grad[i] * gradScale[0];
  let m = nextMean(unpackPairs(packed1[i]), g);
  let v = nextSquare(unpackPairs(packed2[i]), g, hyper[BETA2]);
  let random = randomAt(i);
  packed1[i] = packPairs(m, random & vec4u(0xffffu));
  packed2[i] = packPairs(v, random >> vec4u(16u));
  adamwStep(i, m, v);
}

fn nextMean(m: vec4f, g: vec4f) -> vec4f { return fma(vec4f(hyper[BETA1]), m, (1.0 - hyper[BETA1]) * g); }
fn nextSquare(v: vec4f, g: vec4f, kept: f32) -> vec4f { return fma(vec4f(kept), v, (1.0 - kept) * g * g); }

fn adamwStep(i: u32, m: vec4f, v: vec4f) {
  let rate = hyper[LEARNING_RATE];
  let root = sqrt(v) / sqrt(hyper[CORRECTION2]) + hyper[EPSILON];
  param[i] -= fma(vec4f(rate * decay()), param[i], rate / hyper[CORRECTION1] * m / root);
}

/// RMSprop without momentum; the weight decay is added to the gradient. moment1 is v.
@compute @workgroup_size(THREADS)
fn rmsprop(list: List) {
  let i = listVector(list);
  if (i >= arrayLength(&param)) { return; }
  let d = decayedGradient(i);
  let v = nextSquare(moment1[i], d, hyper[ALPHA]);
  moment1[i] = v;
  rmspropStep(i, d, v);
}

@compute @workgroup_size(THREADS)
fn rmspropBf16(list: List) {
  let i = listVector(list);
  if (i >= arrayLength(&param)) { return; }
  let d = decayedGradient(i);
  let v = nextSquare(unpackPairs(packed1[i]), d, hyper[ALPHA]);
  packed1[i] = packPairs(v, randomAt(i) & vec4u(0xffffu));
  rmspropStep(i, d, v);
}

fn decayedGradient(i: u32) -> vec4f { return fma(vec4f(decay()), param[i], grad[i] * gradScale[0]); }
fn rmspropStep(i: u32, d: vec4f, v: vec4f) { param[i] -= hyper[LEARNING_RATE] * d / (sqrt(v) + hyper[EPSILON]); }

/// Plain gradient descent; the weight decay is added to the gradient.
@compute @workgroup_size(THREADS)
fn sgd(list: List) {
  let i = listVector(list);
  if (i >= arrayLength(&param)) { return; }
  param[i] -= hyper[LEARNING_RATE] * fma(vec4f(decay()), param[i], grad[i] * gradScale[0]);
}

// Of globalNorm: up to seven tensors, of which there are TENSORS here.
@group(0) @binding(7) var<storage, read> tensor0: array<f32>;
@group(0) @binding(8) var<storage, read> tensor1: array<f32>;
@group(0) @binding(9) var<storage, read> tensor2: array<f32>;
@group(0) @binding(10) var<storage, read> tensor3: array<f32>;
@group(0) @binding(11) var<storage, read> tensor4: array<f32>;
@group(0) @binding(12) var<storage, read> tensor5: array<f32>;
@group(0) @binding(13) var<storage, read> tensor6: array<f32>;
/// Sums of squares, as many of each tensor as a dispatch has workgroups in x.
@group(0) @binding(14) var<storage, read_write> parts: array<f32>;
@group(0) @binding(15) var<storage, read_write> norm: array<f32>;

override TENSORS: u32 = 7u;

/// Elements at capacity. A tensor whose rows are counted is alone in its dispatch.
fn capacityOf(tensor: u32) -> u32 {
  switch (tensor) {
    case 0u: { return arrayLength(&tensor0); }
    case 1u: { return arrayLength(&tensor1); }
    case 2u: { return arrayLength(&tensor2); }
    case 3u: { return arrayLength(&tensor3); }
    case 4u: { return arrayLength(&tensor4); }
    case 5u: { return arrayLength(&tensor5); }
    default: { return arrayLength(&tensor6); }
  }
}

fn elementOf(tensor: u32, i: u32) -> f32 {
  switch (tensor) {
    case 0u: { return tensor0[i]; }
    case 1u: { return tensor1[i]; }
    case 2u: { return tensor2[i]; }
    case 3u: { return tensor3[i]; }
    case 4u: { return tensor4[i]; }
    case 5u: { return tensor5[i]; }
    default: { return tensor6[i]; }
  }
}

/// Workgroup (x, tensor) sums every so many elements of one tensor; four sums of a thread keep each of them short.
@compute @workgroup_size(THREADS)
fn squares(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  thread: Thread,
) {
  let tensor = workgroup.y;
  var n = 0u;
  if (tensor < TENSORS) { n = listLength(capacityOf(tensor)); }
  let step = workgroups.x * THREADS;
  var total = vec4f();
  var i = workgroup.x * THREADS + thread.index;
  for (; i + 3u * step < n; i += 4u * step) {
    let four = vec4f(
      elementOf(tensor, i),
      elementOf(tensor, i + step),
      elementOf(tensor, i + 2u * step),
      elementOf(tensor, i + 3u * step),
    );
    total = fma(four, four, total);
  }
  for (; i < n; i += step) {
    let one = elementOf(tensor, i);
    total.x = fma(one, one, total.x);
  }
  let sum = teamSum((total.x + total.y) + (total.z + total.w), thread);
  if (thread.index == 0u) { parts[tensor * workgroups.x + workgroup.x] = sum; }
}

/// √ of the sum of all parts.
@compute @workgroup_size(THREADS)
fn root(thread: Thread) {
  let n = arrayLength(&parts);
  var total = 0.0;
  for (var i = thread.index; i < n; i += THREADS) { total += parts[i]; }
  let sum = teamSum(total, thread);
  if (thread.index == 0u) { norm[0] = sqrt(sum); }
}
