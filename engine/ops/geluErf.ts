import type { Tensor } from '../graph.ts';
import { apply } from '../graph.ts';
import type { Op, Sample } from '../op.ts';
import { expectSame, one } from './inputs.ts';

type NoAttrs = Record<string, never>;

const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Φ(x) = ½ + φ(x) · (x + x³/3 + x⁵/(3 · 5) + …) (Marsaglia, 2004); no term changes sign. */
function cumulative(x: number): number {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0;
  let [sum, term] = [x, x];
  for (let n = 3; Math.abs(term) > 1e-17 * Math.abs(sum); n += 2) sum += term *= (x * x) / n;
  return 0.5 + density(x) * sum;
}

const samples = (inputs: number): Sample<NoAttrs>[] => [
  {
    attrs: {},
    inputs: Array.from({ length: inputs }, () => ({ shape: [9, 13], rows: 'tokens' })),
    counts: { tokens: 7 },
  },
  {
    attrs: {},
    inputs: Array.from({ length: inputs }, () => ({
      shape: [8],
      values: [-12, -6, -3, -1e-3, 0, 2.5, 5, 40],
    })),
  },
];

export const geluErfOp: Op<NoAttrs> = {
  name: 'geluErf',
  cheap: true,
  shape: (types) => [expectSame('geluErf', types)],
  gradient: ({ inputs: [x], grads: [dy] }) => [x && dy && apply(geluErfGradOp, [x, dy], {})],
  define([x], [y]) {
    const to = one(y).data;
    one(x).data.forEach((v, i) => (to[i] = v * cumulative(v)));
  },
  inPlace: () => [[0, 0]],
  samples: samples(1),
};

/** (x, dy) → dx = dy · (Φ(x) + x · φ(x)). */
export const geluErfGradOp: Op<NoAttrs> = {
  name: 'geluErfGrad',
  shape: (types) => [expectSame('geluErfGrad', types)],
  define([x, dy], [dx]) {
    const [g, to] = [one(dy).data, one(dx).data];
    one(x).data.forEach((v, i) => (to[i] = (g[i] ?? 0) * (cumulative(v) + v * density(v))));
  },
  inPlace: () => [
    [1, 0],
    [0, 0],
  ],
  samples: samples(2),
};

/** GELU as it is defined, x · Φ(x) = ½ x (1 + erf(x / √2)): Transformers' `gelu` (arXiv 1606.08415). */
export const geluErf = (x: Tensor): Tensor => apply(geluErfOp, [x], {});
