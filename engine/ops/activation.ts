import type { Tensor } from '../graph.ts';
import { apply, applyAll } from '../graph.ts';
import type { Op } from '../op.ts';
import { expectSame, one } from './inputs.ts';

type NoAttrs = Record<string, never>;

const C0 = Math.sqrt(2 / Math.PI);
const C1 = 0.044715;

export const geluOp: Op<NoAttrs> = {
  name: 'gelu',
  cheap: true,
  shape: (types) => [expectSame('gelu', types)],
  gradient: ({ inputs: [x], grads: [dy] }) => [x && dy && apply(geluGradOp, [x, dy], {})],
  define([x], [y]) {
    const to = one(y).data;
    one(x).data.forEach((v, i) => (to[i] = 0.5 * v * (1 + Math.tanh(C0 * (v + C1 * v ** 3)))));
  },
  samples: [{ attrs: {}, inputs: [{ shape: [9, 13], rows: 'tokens' }], counts: { tokens: 7 } }],
};

/** (x, dy) → dx. */
export const geluGradOp: Op<NoAttrs> = {
  name: 'geluGrad',
  shape: (types) => [expectSame('geluGrad', types)],
  define([x, dy], [dx]) {
    const [g, to] = [one(dy).data, one(dx).data];
    one(x).data.forEach((v, i) => {
      const t = Math.tanh(C0 * (v + C1 * v ** 3));
      to[i] = (g[i] ?? 0) * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * C0 * (1 + 3 * C1 * v * v));
    });
  },
  inPlace: () => [
    [1, 0],
    [0, 0],
  ],
  samples: [],
};

/** GELU in its tanh form, GPT-2's `gelu_new` (Hendrycks & Gimpel, arXiv 1606.08415). */
export const gelu = (x: Tensor): Tensor => apply(geluOp, [x], {});

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const swigluOp: Op<NoAttrs> = {
  name: 'swiglu',
  cheap: true,
  shape: (types) => [expectSame('swiglu', types)],
  gradient({ inputs: [gate, up], grads: [dy] }) {
    return gate && up && dy ? applyAll(swigluGradOp, [gate, up, dy], {}) : [];
  },
  define([gate, up], [y]) {
    const [u, to] = [one(up).data, one(y).data];
    one(gate).data.forEach((g, i) => (to[i] = g * sigmoid(g) * (u[i] ?? 0)));
  },
  inPlace: () => [
    [0, 0],
    [1, 0],
  ],
  samples: [
    {
      attrs: {},
      inputs: [
        { shape: [9, 13], rows: 'tokens' },
        { shape: [9, 13], rows: 'tokens' },
      ],
      counts: { tokens: 7 },
    },
  ],
};

/** (gate, up, dy) → dGate, dUp. */
export const swigluGradOp: Op<NoAttrs> = {
  name: 'swigluGrad',
  shape(types) {
    const t = expectSame('swigluGrad', types);
    return [t, t];
  },
  define([gate, up, dy], [dGate, dUp]) {
    const [u, d, toGate, toUp] = [one(up).data, one(dy).data, one(dGate).data, one(dUp).data];
    one(gate).data.forEach((g, i) => {
      const s = sigmoid(g);
      toGate[i] = (d[i] ?? 0) * (u[i] ?? 0) * s * (1 + g * (1 - s));
      toUp[i] = (d[i] ?? 0) * g * s;
    });
  },
  inPlace: () => [
    [0, 0],
    [1, 1],
  ],
  samples: [],
};

/** silu(gate) · up, both [T, C] (Shazeer, arXiv 2002.05202). */
export const swiglu = (gate: Tensor, up: Tensor): Tensor => apply(swigluOp, [gate, up], {});
