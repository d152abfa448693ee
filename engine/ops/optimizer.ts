import { roundRandomly } from '../bfloat16.ts';
import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply, applyAll } from '../graph.ts';
import type { Op } from '../op.ts';
import type { DType, TensorType } from '../shape.ts';
import { f32, format, sameShape } from '../shape.ts';
import { counterHash } from './counterHash.ts';
import { expectSize, expectType, one } from './inputs.ts';

/**
 * What an optimizer step reads besides tensors, as f32 [9] given anew at each run: a learning rate that was baked
 * into a cached program would silently train wrong.
 */
export const HYPER_FIELDS = [
  'learningRate',
  'weightDecay',
  'beta1',
  'beta2',
  'epsilon',
  /** 1 − β₁ᵗ and 1 − β₂ᵗ at step t. */
  'correction1',
  'correction2',
  /** RMSprop's smoothing constant. */
  'alpha',
  /** Of moments in bf16: a whole number below 2^24, another one at each step. */
  'roundingSeed',
] as const;
export type Hyper = Readonly<Record<(typeof HYPER_FIELDS)[number], number>>;
export const hyperValues = (hyper: Partial<Hyper>): Float32Array =>
  Float32Array.from(HYPER_FIELDS, (field) => hyper[field] ?? 0);

interface UpdateAttrs {
  readonly [key: string]: boolean | string;
  /** Whether the weight decay applies to this parameter. */
  readonly decay: boolean;
  /** How the moments are kept. */
  readonly state: MomentType;
}

/**
 * f32, or bf16 for half the memory. The update is computed in float32 either way; what is kept of a new moment is
 * then one of its two neighbours in bf16, the farther one with a probability that makes the mean right
 * (stochastic rounding). The nearest would not do: with β₂ = 0.999 an update lowers v by at most 0.1 %, half of bf16's
 * spacing is 0.2 to 0.4 %, and v would never come down. The random bits are a hash of element and seed, so that the
 * same seed gives the same bits on any number of threads.
 */
export type MomentType = Extract<DType, 'f32' | 'bf16'>;

/** inputs: param, grad, moments…, hyper [9], gradScale [] → param, moments…, all in place. */
function optimizer(
  name: string,
  moments: number,
  step: (p: number, g: number, moments: number[], hyper: Hyper, decay: number) => number,
): Op<UpdateAttrs> {
  const momentIndices = Array.from({ length: moments }, (_, i) => 2 + i);
  const sample = (decay: boolean, state: MomentType) => ({
    attrs: { decay, state },
    inputs: [
      { shape: [7, 9] },
      { shape: [7, 9] },
      ...momentIndices.map(() => ({ shape: [7, 9], positive: true, dtype: state })),
      { shape: [9], values: [0.01, 0.1, 0.9, 0.99, 1e-6, 0.1, 0.01, 0.98, 12345] },
      { shape: [], values: [0.5] },
    ],
  });
  return {
    name,
    widens: momentIndices,
    shape(inputs, { state }) {
      const [param] = inputs;
      const tensors = inputs.slice(0, 2 + moments);
      tensors.forEach((t, i) => {
        if (!param || !sameShape(t.shape, param.shape) || t.dtype !== (i < 2 ? 'f32' : state))
          throw new ShapeError(
            `${name}: parameter, gradient and moments differ, got ${inputs.map(format).join(', ')}`,
          );
      });
      expectSize(
        name,
        'numbers of hyper-parameters',
        expectType(name, 'hyper', inputs[2 + moments], 'f32', 1).shape[0],
        HYPER_FIELDS.length,
      );
      expectType(name, 'gradient scale', inputs[3 + moments], 'f32', 0);
      return tensors.filter((_, i) => i !== 1);
    },
    define(inputs, outputs, { decay, state }) {
      const [param, grad, hyperInput, scale] = [
        inputs[0],
        inputs[1],
        inputs[2 + moments],
        inputs[3 + moments],
      ].map(one);
      const hyper = Object.fromEntries(HYPER_FIELDS.map((f, i) => [f, hyperInput?.data[i] ?? 0])) as Hyper;
      const old = inputs.slice(2, 2 + moments);
      param?.data.forEach((p, i) => {
        const values = old.map((m) => m.data[i] ?? 0);
        const g = (grad?.data[i] ?? 0) * (scale?.data[0] ?? 0);
        const next = step(p, g, values, hyper, decay ? hyper.weightDecay : 0);
        // The first moment takes the lower 16 random bits, the second the upper ones.
        const random = counterHash(i, hyper.roundingSeed, 0);
        const kept = values.map((v, k) =>
          state === 'bf16' ? roundRandomly(v, (random >>> (16 * k)) & 0xffff) : v,
        );
        [next, ...kept].forEach((v, o) => (one(outputs[o]).data[i] = v));
      });
    },
    inPlace: () => [[0, 0], ...momentIndices.map((i): [number, number] => [i, i - 1])],
    samples: [
      sample(true, 'f32'),
      sample(false, 'f32'),
      ...(moments > 0 ? [sample(true, 'bf16'), sample(false, 'bf16')] : []),
    ],
  };
}

/** AdamW as PyTorch computes it (Loshchilov & Hutter, arXiv 1711.05101). */
export const adamwOp = optimizer('adamw', 2, (p, g, moments, h, decay) => {
  const m = h.beta1 * (moments[0] ?? 0) + (1 - h.beta1) * g;
  const v = h.beta2 * (moments[1] ?? 0) + (1 - h.beta2) * g * g;
  moments.splice(0, 2, m, v);
  const kept = p * (1 - h.learningRate * decay);
  return (
    kept - ((h.learningRate / h.correction1) * m) / (Math.sqrt(v) / Math.sqrt(h.correction2) + h.epsilon)
  );
});

/** RMSprop as PyTorch computes it, without momentum; weight decay is added to the gradient. */
export const rmspropOp = optimizer('rmsprop', 1, (p, g, moments, h, decay) => {
  const d = g + decay * p;
  const v = h.alpha * (moments[0] ?? 0) + (1 - h.alpha) * d * d;
  moments[0] = v;
  return p - (h.learningRate * d) / (Math.sqrt(v) + h.epsilon);
});

/** Plain gradient descent; weight decay is added to the gradient. */
export const sgdOp = optimizer('sgd', 0, (p, g, _moments, h, decay) => p - h.learningRate * (g + decay * p));

/** The optimizers by name: how many moments each keeps, and its update (param, grad, moments, hyper, scale). */
export const optimizerOps = { adamw: adamwOp, rmsprop: rmspropOp, sgd: sgdOp } as const;
export const momentsOf = { adamw: 2, rmsprop: 1, sgd: 0 } as const;

/**
 * One update: (param, grad, moments, hyper f32 [9] (HYPER_FIELDS), gradScale []) → [param, …moments]. Moments are f32,
 * or bf16 (MomentType).
 */
export const optimize = (
  name: keyof typeof optimizerOps,
  param: Tensor,
  grad: Tensor,
  moments: readonly Tensor[],
  hyper: Tensor,
  gradScale: Tensor,
  decay: boolean,
): Tensor[] =>
  applyAll(optimizerOps[name], [param, grad, ...moments, hyper, gradScale], {
    decay,
    state: moments.some((m) => m.dtype === 'bf16') ? 'bf16' : 'f32',
  });

type NoAttrs = Record<string, never>;

export const globalNormOp: Op<NoAttrs> = {
  name: 'globalNorm',
  shape: (inputs: readonly TensorType[]) => {
    if (inputs.length === 0) throw new ShapeError('globalNorm: no tensors given');
    return [f32([])];
  },
  define(inputs, [y]) {
    let total = 0;
    for (const x of inputs) for (const v of x.data) total += v * v;
    one(y).data[0] = Math.sqrt(total);
  },
  samples: [{ attrs: {}, inputs: [{ shape: [5] }, { shape: [7, 9] }, { shape: [130, 70] }] }],
};

/** √Σx² over all elements of all tensors, shape []. */
export const globalNorm = (tensors: readonly Tensor[]): Tensor => apply(globalNormOp, tensors, {});
