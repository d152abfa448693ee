import type { Attrs } from '../../op.ts';
import type { TensorType } from '../../shape.ts';
import { SEGMENT_WIDTH } from '../../ops/attention.ts';
import type { Call, Field, LowerArgs, Lowering, Operand, RunNumbers, Span } from '../call.ts';
import { address, float, int, numberAttr, operand, rowsOf } from '../call.ts';

// These follow kernels/attentionParts.ts.
const QUERY_BLOCK = 64;
const KEY_BLOCK = 96;
/** Segments of up to so many queries read keys and values where they lie. */
const FEW = 2;

const roundUp = (n: number, step: number): number => Math.ceil(n / step) * step;

/** Room for what is padded to the rows of a register tile, which are 4, 6 or 8. */
const tiled = (n: number): number => Math.max(roundUp(n, 6), roundUp(n, 8));

/** Sizes of an attention's workspace, from capacities. */
function sizesOf(inputs: readonly (TensorType | undefined)[], attrs: Attrs) {
  const rows = (i: number) => inputs[i]?.shape[0] ?? 1;
  return {
    heads: numberAttr(attrs, 'heads'),
    kvHeads: numberAttr(attrs, 'kvHeads'),
    headDim: numberAttr(attrs, 'headDim'),
    queryRows: rows(0),
    keyRows: rows(1),
    segments: rows(3),
  };
}
type Sizes = ReturnType<typeof sizesOf>;

/** Spans of the given numbers of floats, one after another from `start`, each 64-byte aligned. */
function layOut<Name extends string>(
  start: number,
  floats: Record<Name, number>,
): Record<Name, Span> & { end: number } {
  let end = start;
  const spans = {} as Record<Name, Span>;
  for (const name of Object.keys(floats) as Name[]) {
    spans[name] = { address: end, bytes: roundUp(4 * floats[name], 64) };
    end += spans[name].bytes;
  }
  return { ...spans, end };
}

/** Floats of a thread's scratch, forward. */
const scratchOf = ({ headDim }: Sizes): number =>
  roundUp(QUERY_BLOCK * (headDim + tiled(headDim) + 2) + KEY_BLOCK * 8, 16);

function forwardSpans(start: number, sizes: Sizes, threads: number) {
  const packed = sizes.queryRows > FEW ? sizes.kvHeads * tiled(sizes.keyRows) : 0;
  return layOut(start, {
    packedK: packed * sizes.headDim,
    packedV: packed * tiled(sizes.headDim),
    scratch: threads * scratchOf(sizes),
  });
}

/** The fields that the calls of both ops begin with; scratch is floats per thread. */
function commonFields(inputs: readonly Operand[], sizes: Sizes, memory: Span, scratch: number): Field[] {
  const [k, segments] = [operand(inputs, 1), operand(inputs, 3)];
  return [
    ...[0, 1, 2, 3].map((i) => address(operand(inputs, i))),
    rowsOf(segments.type),
    int(sizes.heads),
    int(sizes.kvHeads),
    int(sizes.headDim),
    rowsOf(k.type),
    int(sizes.keyRows),
    float(1 / Math.sqrt(sizes.headDim)),
    address(memory),
    int(4 * scratch),
  ];
}

/** Flops of so many products over the pairs of a query and a key that it sees (ops/attention.ts). */
function pairFlops(products: number, { heads, headDim }: Sizes, segments: Operand) {
  return ({ ints }: RunNumbers): number => {
    const table = ints(segments);
    let pairs = 0;
    for (let s = 0; s < table.length; s += SEGMENT_WIDTH) {
      const [, queries = 0, , keys = 0, , prefix = 0] = table.subarray(s, s + SEGMENT_WIDTH);
      pairs += queries * (prefix + keys - queries + (queries + 1) / 2);
    }
    return 2 * products * heads * headDim * pairs;
  };
}

const attention: Lowering = {
  workspace: (inputs, attrs, threads) => forwardSpans(0, sizesOf(inputs, attrs), threads).end,
  lower({ inputs, outputs, attrs, threads, workspace }: LowerArgs): Call[] {
    const sizes = sizesOf(
      inputs.map((t) => t.type),
      attrs,
    );
    const [out, lse] = [operand(outputs, 0), operand(outputs, 1)];
    const { packedK, packedV, scratch } = forwardSpans(workspace.address, sizes, threads);
    const fields = [
      ...commonFields(inputs, sizes, scratch, scratchOf(sizes)),
      ...[out, lse, packedK, packedV].map((t) => address(t)),
    ];
    const attend = {
      kernel: 'attention',
      fields,
      reads: [...inputs, packedK, packedV],
      writes: [out, lse, scratch],
      flops: pairFlops(2, sizes, operand(inputs, 3)),
    };
    if (sizes.queryRows <= FEW) return [attend];
    return [{ kernel: 'attentionPack', fields, reads: inputs.slice(1), writes: [packedK, packedV] }, attend];
  },
};

/** Parts into which dQ's sum over keys is split: enough tasks for 8 threads to balance. */
const chunksOf = ({ kvHeads, keyRows }: Sizes): number =>
  Math.min(Math.max(4, Math.min(8, Math.ceil(24 / kvHeads))), Math.ceil(keyRows / KEY_BLOCK));

/** Panels of 8 queries; each segment starts a new one. */
const panelsOf = ({ queryRows, segments }: Sizes): number => Math.floor(queryRows / 8) + segments;

const gradScratchOf = ({ headDim }: Sizes): number => 2 * KEY_BLOCK * (QUERY_BLOCK + roundUp(headDim, 8));

function gradSpans(start: number, sizes: Sizes, threads: number) {
  const { heads, kvHeads, headDim, keyRows } = sizes;
  const [keys, panels] = [kvHeads * tiled(keyRows), heads * panelsOf(sizes) * 8];
  return layOut(start, {
    kRows: keys * headDim,
    vRows: keys * headDim,
    kColumns: keys * tiled(headDim),
    qRows: panels * headDim,
    dOutRows: panels * headDim,
    qColumns: panels * roundUp(headDim, 8),
    dOutColumns: panels * roundUp(headDim, 8),
    stats: panels * 2,
    dqParts: chunksOf(sizes) * panels * tiled(headDim),
    scratch: threads * gradScratchOf(sizes),
  });
}

const attentionGrad: Lowering = {
  workspace: (inputs, attrs, threads) => gradSpans(0, sizesOf(inputs, attrs), threads).end,
  lower({ inputs, outputs, attrs, threads, workspace }: LowerArgs): Call[] {
    const sizes = sizesOf(
      inputs.map((t) => t.type),
      attrs,
    );
    const [out, lse, dOut] = [operand(inputs, 4), operand(inputs, 5), operand(inputs, 6)];
    const [dq, dk, dv] = [operand(outputs, 0), operand(outputs, 1), operand(outputs, 2)];
    const { scratch, dqParts, ...spans } = gradSpans(workspace.address, sizes, threads);
    const { kRows, vRows, kColumns, qRows, dOutRows, qColumns, dOutColumns, stats } = spans;
    const packed = [kRows, vRows, kColumns, qRows, dOutRows, qColumns, dOutColumns, stats];
    const fields = [
      ...commonFields(inputs, sizes, scratch, gradScratchOf(sizes)),
      ...[out, lse, dOut, dq, dk, dv, ...packed, dqParts].map((t) => address(t)),
      int(chunksOf(sizes)),
      int(panelsOf(sizes)),
    ];
    const segments = operand(inputs, 3);
    return [
      { kernel: 'attentionGradPack', fields, reads: inputs, writes: packed },
      {
        kernel: 'attentionGradKeys',
        fields,
        reads: [segments, ...packed],
        writes: [dk, dv, dqParts, scratch],
        flops: pairFlops(5, sizes, segments),
      },
      { kernel: 'attentionGradQueries', fields, reads: [segments, dqParts], writes: [dq, scratch] },
    ];
  },
};

export const attentionLowerings: Record<string, Lowering> = { attention, attentionGrad };
