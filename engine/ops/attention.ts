import type { Tensor } from '../graph.ts';
import { applyAll, outputOf } from '../graph.ts';
import type { Op, Sample, Value } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { f32 } from '../shape.ts';
import { expectRows, expectSize, expectType, one } from './inputs.ts';

export interface AttentionAttrs {
  readonly [key: string]: number;
  readonly heads: number;
  /** Key and value heads; query head h reads key head floor(h · kvHeads / heads). */
  readonly kvHeads: number;
  readonly headDim: number;
}

/**
 * A row of the segment table, i32 [S, 6]. Query rows queryStart … +queryLength of q see the keys keyStart …
 * +keyLength causally, aligned at the end (the last query sees the last key), and all keys of the prefix
 * prefixStart … +prefixLength. In training queries and keys are the same rows, and a pair is three segments:
 * the prompt, and chosen and rejected with the prompt as their prefix. With a cache, keys are cache rows.
 */
export const SEGMENT_FIELDS = [
  'queryStart',
  'queryLength',
  'keyStart',
  'keyLength',
  'prefixStart',
  'prefixLength',
] as const;
export const SEGMENT_WIDTH = SEGMENT_FIELDS.length;

function attentionShape(
  name: string,
  [q, k, v, segments]: readonly TensorType[],
  { heads, kvHeads, headDim }: AttentionAttrs,
): { q: TensorType; k: TensorType; v: TensorType } {
  const types = {
    q: expectType(name, 'q', q, 'f32', 2),
    k: expectType(name, 'k', k, 'f32', 2),
    v: expectType(name, 'v', v, 'f32', 2),
  };
  expectSize(name, "q's width and heads × headDim", types.q.shape[1], heads * headDim);
  expectSize(name, "k's width and kvHeads × headDim", types.k.shape[1], kvHeads * headDim);
  expectSize(name, "v's width and kvHeads × headDim", types.v.shape[1], kvHeads * headDim);
  expectSize(name, 'heads modulo kvHeads and zero', heads % kvHeads, 0);
  expectRows(name, types.k, types.v);
  expectSize(
    name,
    'columns of the segment table',
    expectType(name, 'segments', segments, 'i32', 2).shape[1],
    SEGMENT_WIDTH,
  );
  return types;
}

/** Calls `visit` for each (query head, query row) with the key rows that it sees. */
function forEachQuery(
  segments: Value,
  { heads }: AttentionAttrs,
  visit: (head: number, query: number, keys: readonly number[]) => void,
): void {
  for (let s = 0; s < (segments.shape[0] ?? 0); s++) {
    const [qs = 0, ql = 0, ks = 0, kl = 0, ps = 0, pl = 0] = segments.data.subarray(
      s * SEGMENT_WIDTH,
      (s + 1) * SEGMENT_WIDTH,
    );
    for (let i = 0; i < ql; i++) {
      const keys: number[] = [];
      for (let j = 0; j < pl; j++) keys.push(ps + j);
      for (let j = 0; j <= kl - ql + i; j++) keys.push(ks + j);
      for (let h = 0; h < heads; h++) visit(h, qs + i, keys);
    }
  }
}

const dotRows = (a: Value, i: number, b: Value, j: number, n: number): number => {
  let total = 0;
  for (let d = 0; d < n; d++) total += (a.data[i + d] ?? 0) * (b.data[j + d] ?? 0);
  return total;
};
const addScaled = (to: Value, i: number, from: Value, j: number, scale: number, n: number): void => {
  for (let d = 0; d < n; d++) to.data[i + d] = (to.data[i + d] ?? 0) + scale * (from.data[j + d] ?? 0);
};

/** Training segments: a prompt of 5 with two branches, a lone sequence, and a prompt with one branch. */
const branches = [
  0, 5, 0, 5, 0, 0, 5, 4, 5, 4, 0, 5, 9, 3, 9, 3, 0, 5, 12, 6, 12, 6, 0, 0, 18, 1, 18, 1, 0, 0, 19, 2, 19, 2,
  18, 1,
];
/** Decoding segments: 2 queries on cache rows 3…9 with prefix 0…2, and 1 query on rows 10…14 with the same prefix. */
const cached = [0, 2, 3, 7, 0, 3, 2, 1, 10, 5, 0, 3];

const sample = (
  attrs: AttentionAttrs,
  tq: number,
  tk: number,
  table: number[],
  counts: Record<string, number>,
): Sample<AttentionAttrs> => ({
  attrs,
  inputs: [
    { shape: [tq, attrs.heads * attrs.headDim], rows: 'tokens' },
    { shape: [tk, attrs.kvHeads * attrs.headDim], ...(tq === tk ? { rows: 'tokens' } : {}) },
    { shape: [tk, attrs.kvHeads * attrs.headDim], ...(tq === tk ? { rows: 'tokens' } : {}) },
    {
      shape: [table.length / SEGMENT_WIDTH + 1, SEGMENT_WIDTH],
      rows: 'segments',
      dtype: 'i32',
      values: table,
    },
  ],
  counts,
});

export const attentionOp: Op<AttentionAttrs> = {
  name: 'attention',
  shape(inputs, attrs) {
    const { q } = attentionShape('attention', inputs, attrs);
    return [f32(q.shape, q.rows), f32([q.shape[0] ?? 0, attrs.heads], q.rows)];
  },
  gradient({ inputs: [q, k, v, segments], outputs: [out, lse], attrs, grads: [dOut] }) {
    if (!q || !k || !v || !segments || !out || !lse || !dOut) return [];
    return [...applyAll(attentionGradOp, [q, k, v, segments, out, lse, dOut], attrs), undefined];
  },
  define([q, k, v, segments], [out, lse], attrs) {
    const { heads, kvHeads, headDim: D } = attrs;
    const [Q, K, V, O, L] = [one(q), one(k), one(v), one(out), one(lse)];
    forEachQuery(one(segments), attrs, (h, i, keys) => {
      const qAt = (i * heads + h) * D;
      const kv = Math.floor((h * kvHeads) / heads) * D;
      const scores = keys.map((j) => dotRows(Q, qAt, K, j * kvHeads * D + kv, D) / Math.sqrt(D));
      const max = Math.max(...scores);
      const total = scores.reduce((s, x) => s + Math.exp(x - max), 0);
      L.data[i * heads + h] = max + Math.log(total);
      keys.forEach((j, n) =>
        addScaled(O, qAt, V, j * kvHeads * D + kv, Math.exp((scores[n] ?? 0) - max) / total, D),
      );
    });
  },
  samples: [
    sample({ heads: 4, kvHeads: 2, headDim: 8 }, 23, 23, branches, { tokens: 21, segments: 6 }),
    sample({ heads: 3, kvHeads: 3, headDim: 5 }, 21, 21, branches, { tokens: 21, segments: 6 }),
    sample({ heads: 2, kvHeads: 1, headDim: 64 }, 70, 70, [0, 69, 0, 69, 0, 0], { tokens: 69, segments: 1 }),
    sample({ heads: 4, kvHeads: 2, headDim: 12 }, 3, 15, cached, { tokens: 3, segments: 2 }),
  ],
};

/** (q, k, v, segments, out, lse, dOut) → dq, dk, dv, with the probabilities computed again from lse. */
export const attentionGradOp: Op<AttentionAttrs> = {
  name: 'attentionGrad',
  shape(inputs, attrs) {
    const { q, k, v } = attentionShape('attentionGrad', inputs, attrs);
    return [f32(q.shape, q.rows), f32(k.shape, k.rows), f32(v.shape, v.rows)];
  },
  define([q, k, v, segments, out, lse, dOut], [dq, dk, dv], attrs) {
    const { heads, kvHeads, headDim: D } = attrs;
    const [Q, K, V, O, L, dO] = [one(q), one(k), one(v), one(out), one(lse), one(dOut)];
    const [dQ, dK, dV] = [one(dq), one(dk), one(dv)];
    const scale = 1 / Math.sqrt(D);
    forEachQuery(one(segments), attrs, (h, i, keys) => {
      const qAt = (i * heads + h) * D;
      const kv = Math.floor((h * kvHeads) / heads) * D;
      const delta = dotRows(dO, qAt, O, qAt, D);
      for (const j of keys) {
        const kAt = j * kvHeads * D + kv;
        const p = Math.exp(dotRows(Q, qAt, K, kAt, D) * scale - (L.data[i * heads + h] ?? 0));
        const dScore = p * (dotRows(dO, qAt, V, kAt, D) - delta) * scale;
        addScaled(dV, kAt, dO, qAt, p, D);
        addScaled(dQ, qAt, K, kAt, dScore, D);
        addScaled(dK, kAt, Q, qAt, dScore, D);
      }
    });
  },
  samples: [],
};

/**
 * Softmax attention over a packed batch, without the [T, T] matrix. q [T, heads · headDim], k and v [Tk, kvHeads ·
 * headDim], segments i32 [S, 6] (SEGMENT_FIELDS) → [T, heads · headDim]. Scores are scaled by 1/√headDim.
 */
export const attention = (q: Tensor, k: Tensor, v: Tensor, segments: Tensor, attrs: AttentionAttrs): Tensor =>
  outputOf(applyAll(attentionOp, [q, k, v, segments], attrs), 0);
