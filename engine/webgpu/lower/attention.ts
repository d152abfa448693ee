import { PrefgradError } from '../../errors.ts';
import type { Attrs } from '../../op.ts';
import type { TensorType } from '../../shape.ts';
import type { LowerArgs, Lowering, Operand } from '../dispatch.ts';
import { groupList, numberAttr, operand } from '../dispatch.ts';

// These follow shaders/attentionTiles.wgsl.
const THREADS = 128;
const WIDEST = 256;

/** Rows of a tile whose workgroup is `across` threads wide. */
const rowsOfTile = (across: number): number => (4 * THREADS) / across;

interface Sizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Capacities: rows of q, rows of k, and segments. */
  readonly queries: number;
  readonly keys: number;
  readonly segments: number;
}

function sizesOf(inputs: readonly (TensorType | undefined)[], attrs: Attrs): Sizes {
  const headDim = numberAttr(attrs, 'headDim');
  if (headDim > WIDEST)
    throw new PrefgradError(
      `attention: heads of ${headDim} numbers, and WebGPU takes up to ${WIDEST}; use device wasm`,
    );
  const rows = (i: number) => inputs[i]?.shape[0] ?? 1;
  return {
    heads: numberAttr(attrs, 'heads'),
    kvHeads: numberAttr(attrs, 'kvHeads'),
    ...{ headDim, queries: rows(0), keys: rows(1), segments: rows(3) },
  };
}

/** Pairs of a query and a key, if the whole batch is one causal sequence or, with a cache, segments are alike. */
const pairsOf = ({ queries, keys, segments }: Sizes): number =>
  queries * (queries === keys ? keys / 2 : keys / Math.max(1, segments));

/** Multiplications and additions of some of attention's products, whose inner size is a head's. */
const productFlops = (products: number, sizes: Sizes): number =>
  2 * products * pairsOf(sizes) * sizes.heads * sizes.headDim;

/** Workgroups of the blocks of queries: how many there are only the table says, but no more than this. */
const blocksOf = (queries: number, segments: number, across: number): number =>
  queries === 0 ? 0 : Math.floor(queries / rowsOfTile(across)) + segments;

const constantsOf = (sizes: Sizes, segments: Operand, countOf: LowerArgs['countOf']) => ({
  ...{ HEADS: sizes.heads, KV_HEADS: sizes.kvHeads, HEAD_DIM: sizes.headDim },
  ...{ SCALE: 1 / Math.sqrt(sizes.headDim), SEGMENTS: sizes.segments },
  SEGMENT_PLACE: countOf(segments.type).place,
});

/** Threads side by side, so that a thread sums up to four quads of a row. */
const acrossOf = ({ headDim }: Sizes): number => (headDim <= 128 ? 8 : 16);

/** Threads side by side where each has two such sums. Blocks are smaller too where there would be few workgroups. */
function acrossOfKeys({ headDim, keys, kvHeads }: Sizes): number {
  if (headDim > 128) return 32;
  return headDim > 64 || (keys / rowsOfTile(8)) * kvHeads < 256 ? 16 : 8;
}

/** Whether segments have few queries each, as in decoding. */
const isFew = ({ queries, segments }: Sizes): boolean => queries <= 4 * segments;

const attention: Lowering = {
  lower({ inputs, outputs, attrs, countOf }) {
    const [q, k, v, segments] = [0, 1, 2, 3].map((i) => operand(inputs, i)) as [
      ...[Operand, Operand, Operand, Operand],
    ];
    const [out, lse] = [operand(outputs, 0), operand(outputs, 1)];
    const sizes = sizesOf(
      inputs.map((t) => t.type),
      attrs,
    );
    const ACROSS = acrossOf(sizes);
    const few = isFew(sizes);
    return [
      {
        shader: 'attention',
        entry: few ? 'few' : 'tiled',
        constants: {
          ...constantsOf(sizes, segments, countOf),
          ...(few ? { WIDE: 2 ** Math.ceil(Math.log2(sizes.headDim)) } : { ACROSS }),
        },
        reads: { q, k, v, segments },
        writes: { out, lse },
        workgroups: (rows) => [
          sizes.heads,
          few ? rows(q.type) : blocksOf(rows(q.type), rows(segments.type), ACROSS),
        ],
        flops: productFlops(2, sizes),
      },
    ];
  },
};

const attentionGrad: Lowering = {
  workspace: ([q], attrs) => 8 * (q?.shape[0] ?? 1) * numberAttr(attrs, 'heads'),
  lower({ inputs, outputs, attrs, workspace: stats, countOf }) {
    const [q, k, v, segments] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2), operand(inputs, 3)];
    const [out, lse, dOut] = [operand(inputs, 4), operand(inputs, 5), operand(inputs, 6)];
    const [dq, dk, dv] = [operand(outputs, 0), operand(outputs, 1), operand(outputs, 2)];
    const sizes = sizesOf(
      inputs.map((t) => t.type),
      attrs,
    );
    const constants = {
      ...constantsOf(sizes, segments, countOf),
      ...{ QUERY_ROWS: sizes.queries, QUERY_PLACE: countOf(q.type).place },
      ...{ KEY_ROWS: sizes.keys, KEY_PLACE: countOf(k.type).place },
    };
    const ACROSS = acrossOf(sizes);
    const acrossKeys = acrossOfKeys(sizes);
    return [
      {
        shader: 'attentionGrad',
        entry: 'prepare',
        constants,
        reads: { out, lse, dOut },
        writes: { stats },
        workgroups: (rows) => groupList(Math.ceil((rows(q.type) * sizes.heads) / 8)),
        flops: 2 * sizes.queries * sizes.heads * sizes.headDim,
      },
      {
        shader: 'attentionGrad',
        entry: 'byKeys',
        constants: { ...constants, ACROSS: acrossKeys, BY_KEYS: 1 },
        reads: { q, k, v, segments, dOut, stats },
        writes: { dk, dv },
        workgroups: (rows) => [sizes.kvHeads, Math.ceil(rows(k.type) / rowsOfTile(acrossKeys))],
        flops: productFlops(4, sizes),
      },
      {
        shader: 'attentionGrad',
        entry: 'byQueries',
        constants: { ...constants, ACROSS },
        reads: { q, k, v, segments, dOut, stats },
        writes: { dq },
        workgroups: (rows) => [sizes.heads, blocksOf(rows(q.type), rows(segments.type), ACROSS)],
        flops: productFlops(3, sizes),
      },
    ];
  },
};

export const attentionLowerings: Record<string, Lowering> = { attention, attentionGrad };
