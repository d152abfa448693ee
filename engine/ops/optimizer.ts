import { ShapeError } from '../errors.ts';
import type { Tensor } from '../graph.ts';
import { apply, applyAll } from '../graph.ts';
import type { Op } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32, format, sameShape } from '../shape.ts';
import { expectSize, expectType, one } from './inputs.ts';

/**
 * What an optimizer step reads besides tensors, as f32 [8] given anew at each run: a learning rate that was baked
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
] as const;
export type Hyper = Readonly<Record<(typeof HYPER_FIELDS)[number], number>>;
export const hyperValues = (hyper: Partial<Hyper>): Float32Array =>
  Float32Array.from(HYPER_FIELDS, (field) => hyper[field] ?? 0);

interface UpdateAttrs {
  readonly [key: string]: boolean;
  /** Whether the weight decay applies to this parameter. */
  readonly decay: boolean;
}

/** inputs: param, grad, moments…, hyper [8], gradScale [] → param, moments…, all in place. */
function optimizer(
  name: string,
  moments: number,
  step: (p: number, g: number, moments: number[], hyper: Hyper, decay: number) => number,
): Op<UpdateAttrs> {
  const momentSample = Array.from({ length: moments }, () => ({ shape: [7, 9], positive: true }));
  const sample = (decay: boolean) => ({
    attrs: { decay },
    inputs: [
      { shape: [7, 9] },
      { shape: [7, 9] },
      ...momentSample,
      { shape: [8], values: [0.01, 0.1, 0.9, 0.99, 1e-6, 0.1, 0.01, 0.98] },
      { shape: [], values: [0.5] },
    ],
  });
  return {
    name,
    shape(inputs) {
      const [param] = inputs;
      const tensors = inputs.slice(0, 2 + moments);
      for (const t of tensors)
        if (!param || !sameShape(t.shape, param.shape))
          throw new ShapeError(
            `${name}: parameter, gradient and moments differ, got ${inputs.map(format).join(', ')}`,
          );
      expectSize(
        name,
        'numbers of hyper-parameters',
        expectType(name, 'hyper', inputs[2 + moments], 'f32', 1).shape[0],
        HYPER_FIELDS.length,
      );
      expectType(name, 'gradient scale', inputs[3 + moments], 'f32', 0);
      return tensors.filter((_, i) => i !== 1);
    },
    define(inputs, outputs, { decay }) {
      const [param, grad, hyperInput, scale] = [
        inputs[0],
        inputs[1],
        inputs[2 + moments],
        inputs[3 + moments],
      ].map(one);
      const hyper = Object.fromEntries(HYPER_FIELDS.map((f, i) => [f, hyperInput?.data[i] ?? 0])) as Hyper;
      const state = inputs.slice(2, 2 + moments);
      param?.data.forEach((p, i) => {
        const values = state.map((m) => m.data[i] ?? 0);
        const g = (grad?.data[i] ?? 0) * (scale?.data[0] ?? 0);
        const next = step(p, g, values, hyper, decay ? hyper.weightDecay : 0);
        [next, ...values].forEach((v, o) => (one(outputs[o]).data[i] = v));
      });
    },
    inPlace: () => [[0, 0], ...momentSample.map((_, i): [number, number] => [2 + i, 1 + i])],
    samples: [sample(true), sample(false)],
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

/** One update: (param, grad, moments, hyper f32 [8] (HYPER_FIELDS), gradScale []) → [param, …moments]. */
export const optimize = (
  name: keyof typeof optimizerOps,
  param: Tensor,
  grad: Tensor,
  moments: readonly Tensor[],
  hyper: Tensor,
  gradScale: Tensor,
  decay: boolean,
): Tensor[] => applyAll(optimizerOps[name], [param, grad, ...moments, hyper, gradScale], { decay });

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
