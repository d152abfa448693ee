import { PrefgradError } from '../../errors.ts';
import type { Attrs } from '../../op.ts';
import type { Dispatch, LowerArgs, Lowering, Operand } from '../dispatch.ts';
import { MOST_COUNTS, groupList, numberAttr, operand } from '../dispatch.ts';

// These follow shaders/attentionTiles.wgsl.
const THREADS = 128;
/** Numbers of a head at most. */
const WIDEST = 256;
/** Queries of a head that a workgroup prepares. */
const PREPARED = 8;
const TEAM = THREADS / PREPARED;

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

function sizesOf(inputs: readonly Operand[], attrs: Attrs): Sizes {
  const headDim = numberAttr(attrs, 'headDim');
  if (headDim > WIDEST)
    throw new PrefgradError(
      `attention: heads of ${headDim} numbers, and WebGPU takes up to ${WIDEST}; use device wasm`,
    );
  const rows = (i: number) => operand(inputs, i).type.shape[0] ?? 1;
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

/** Where an operand's rows are counted, or else how many there are; capacities are no part of a pipeline. */
function rowsOf(name: string, { type }: Operand, countOf: LowerArgs['countOf']): Record<string, number> {
  const { place, capacity } = countOf(type);
  return { [`${name}_PLACE`]: place, [`${name}_ROWS`]: place === MOST_COUNTS ? capacity : 0 };
}

const constantsOf = (sizes: Sizes, segments: Operand, countOf: LowerArgs['countOf']) => ({
  ...{ HEADS: sizes.heads, KV_HEADS: sizes.kvHeads, HEAD_DIM: sizes.headDim },
  ...{ SCALE: 1 / Math.sqrt(sizes.headDim), ...rowsOf('SEGMENT', segments, countOf) },
});

/** Threads side by side, so that a thread sums up to four quads of a row. */
const acrossOf = ({ headDim }: Sizes): number => (headDim <= 128 ? 8 : 16);

/** Threads side by side where each has two such sums. Blocks are smaller too where there would be few workgroups. */
function acrossOfKeys({ headDim, keys, kvHeads }: Sizes): number {
  if (headDim > 128) return 32;
  return headDim > 64 || (keys / rowsOfTile(8)) * kvHeads < 256 ? 16 : 8;
}

const packedInputs = (inputs: readonly Operand[]) =>
  [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2), operand(inputs, 3)] as const;

const attention: Lowering = {
  lower({ inputs, outputs, attrs, countOf }) {
    const [q, k, v, segments] = packedInputs(inputs);
    const [out, lse] = [operand(outputs, 0), operand(outputs, 1)];
    const sizes = sizesOf(inputs, attrs);
    const ACROSS = acrossOf(sizes);
    const common = {
      shader: 'attention',
      reads: { q, k, v, segments },
      writes: { out, lse },
      flops: productFlops(2, sizes),
    } as const;
    const constants = constantsOf(sizes, segments, countOf);
    // Few queries in a segment, as in decoding, do not fill a tile.
    if (sizes.queries <= 4 * sizes.segments)
      return [
        {
          ...common,
          entry: 'few',
          constants: { ...constants, WIDE: 2 ** Math.ceil(Math.log2(sizes.headDim)) },
          workgroups: (rows) => [sizes.heads, rows(q.type)],
        },
      ];
    return [
      {
        ...common,
        entry: 'tiled',
        constants: { ...constants, ACROSS },
        workgroups: (rows) => [sizes.heads, blocksOf(rows(q.type), rows(segments.type), ACROSS)],
      },
    ];
  },
};

const attentionGrad: Lowering = {
  workspace: ([q], attrs) => 8 * (q?.shape[0] ?? 1) * numberAttr(attrs, 'heads'),
  lower({ inputs, outputs, attrs, workspace: stats, countOf }) {
    const [q, k, v, segments] = packedInputs(inputs);
    const [out, lse, dOut] = [operand(inputs, 4), operand(inputs, 5), operand(inputs, 6)];
    const [dq, dk, dv] = [operand(outputs, 0), operand(outputs, 1), operand(outputs, 2)];
    const sizes = sizesOf(inputs, attrs);
    const { heads, kvHeads, headDim, queries } = sizes;
    const [across, acrossKeys] = [acrossOf(sizes), acrossOfKeys(sizes)];
    const shader = 'attentionGrad';
    const constants = {
      ...constantsOf(sizes, segments, countOf),
      ...rowsOf('QUERY', q, countOf),
      ...rowsOf('KEY', k, countOf),
    };
    const reads = { q, k, v, segments, dOut, stats };
    const prepare: Dispatch = {
      ...{ shader, entry: 'prepare', constants: { ...constants, TEAM } },
      ...{ reads: { out, lse, dOut }, writes: { stats } },
      workgroups: (rows) => groupList(Math.ceil((rows(q.type) * heads) / PREPARED)),
      flops: 2 * queries * heads * headDim,
    };
    const byKeys: Dispatch = {
      ...{ shader, entry: 'byKeys', reads, writes: { dk, dv } },
      constants: { ...constants, ACROSS: acrossKeys, BY_KEYS: 1 },
      workgroups: (rows) => [kvHeads, Math.ceil(rows(k.type) / rowsOfTile(acrossKeys))],
      flops: productFlops(4, sizes),
    };
    const byQueries: Dispatch = {
      ...{ shader, entry: 'byQueries', reads, writes: { dq } },
      constants: { ...constants, ACROSS: across },
      workgroups: (rows) => [heads, blocksOf(rows(q.type), rows(segments.type), across)],
      flops: productFlops(3, sizes),
    };
    return [prepare, byKeys, byQueries];
  },
};

export const attentionLowerings: Record<string, Lowering> = { attention, attentionGrad };
