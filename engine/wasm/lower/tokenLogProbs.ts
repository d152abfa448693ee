import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import type { Call, LowerArgs, Lowering, Operand, Span } from '../call.ts';
import { address, flag, int, operand, rowsOf } from '../call.ts';
import { PACK_SCRATCH, formatOf, packCall, rowBytesOf } from './blocks.ts';
import { blockScratch, rowBlock } from './tileSize.ts';

/** Rows of weight whose logits one task computes at a time (kernels/tokenLogProbs.ts). */
const BLOCK = 96;
/** The vocabulary is summed over in at most so many groups. */
const MOST_GROUPS = 64;
/** Blocks of a chunk of the gradient: at most so many, and a multiple of 8 where dLogits stay in DLOGITS_BYTES. */
const MOST_BLOCKS = 24;
const DLOGITS_BYTES = 8 << 20;

const roundUp = (n: number, step: number): number => Math.ceil(n / step) * step;

/** N tokens (a capacity), width C, vocabulary V; stride: bytes of a row of N, padded to whole cache lines. */
function sizesOf([hidden, weight]: readonly TensorType[]) {
  const [n = 0, c = 0] = hidden?.shape ?? [];
  const v = weight?.shape[0] ?? 0;
  return { n, c, v, stride: roundUp(4 * n, 64) };
}

/** Cuts a workspace into spans, 64-byte aligned, in the order of the sizes. */
function cut(start: number, sizes: readonly number[]): Span[] {
  let at = start;
  return sizes.map((bytes) => {
    const span = { address: at, bytes };
    at += roundUp(bytes, 64);
    return span;
  });
}

const total = (sizes: readonly number[]): number => sizes.reduce((sum, bytes) => sum + roundUp(bytes, 64), 0);

/** Packs hidden as B = [C, N] (transposed) or [N, C]. */
function packHidden(hidden: Operand, packed: Span, c: number, transposed: boolean): Call {
  const rows = rowsOf(hidden.type);
  return {
    kernel: 'packB',
    fields: [
      address(hidden),
      address(packed),
      transposed ? int(c) : rows,
      transposed ? rows : int(c),
      int(4 * c),
      flag(transposed),
      int(1),
    ],
    reads: [hidden],
    writes: [packed],
  };
}

function forwardSizes(inputs: readonly TensorType[], statistics: boolean, threads: number) {
  const { c, v, stride } = sizesOf(inputs);
  const groupRows = roundUp(Math.ceil(v / Math.min(MOST_GROUPS, Math.ceil(v / BLOCK))), BLOCK);
  const groups = Math.ceil(v / groupRows);
  const unpacked = blockScratch(BLOCK, c) + stride + BLOCK * stride;
  const scratch = unpacked + unpackedBytes(inputs);
  return {
    groupRows,
    groups,
    unpacked,
    scratch,
    // Packed hidden, states, label logits, scratch.
    spans: [c * stride, groups * (statistics ? 5 : 2) * stride, stride, threads * scratch],
  };
}

const tokenLogProbs: Lowering = {
  workspace: (inputs, attrs, threads) =>
    total(forwardSizes(inputs, attrs.statistics === true, threads).spans),
  lower({ inputs, outputs, attrs, threads, workspace }) {
    const types = inputs.map((i) => i.type);
    const wanted = attrs.statistics === true;
    const { n, c, v, stride } = sizesOf(types);
    const {
      groupRows,
      groups,
      unpacked,
      scratch: scratchBytes,
      spans,
    } = forwardSizes(types, wanted, threads);
    const [packed, states, labelLogits, scratch] = cut(workspace.address, spans);
    const [hidden, weight, labels] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
    const [logps, lses] = [operand(outputs, 0), operand(outputs, 1)];
    const statistics = wanted ? operand(outputs, 2) : undefined;
    const logits = attrs.keepLogits === true ? operand(outputs, wanted ? 3 : 2) : undefined;
    if (!packed || !states || !labelLogits || !scratch || n === 0) return [];
    const rows = rowsOf(hidden.type);
    return [
      packHidden(hidden, packed, c, true),
      {
        kernel: 'tokenLogProbsGroups',
        fields: [
          address(packed),
          address(weight),
          address(labels),
          rows,
          int(c),
          int(v),
          int(groupRows),
          address(states),
          int(stride),
          flag(wanted),
          address(labelLogits),
          address(scratch),
          int(scratchBytes),
          int(blockScratch(BLOCK, c)),
          ...[int(formatOf(weight.type)), int(rowBytesOf(weight.type)), int(unpacked)],
          address(logits),
        ],
        reads: [packed, weight, labels],
        writes: [states, labelLogits, scratch, ...(logits ? [logits] : [])],
        flops: (run) => 2 * run.of(rows) * c * v,
      },
      {
        kernel: 'tokenLogProbsMerge',
        fields: [
          address(states),
          int(stride),
          int(groups),
          address(labelLogits),
          rows,
          int(v),
          address(logps),
          address(lses),
          address(statistics),
          address(labels),
        ],
        reads: [states, labelLogits, labels],
        writes: [states, logps, lses, ...(statistics ? [statistics] : [])],
      },
    ];
  },
};

/** Scratch for a block of rows of weight, where it is not stored as floats. */
const unpackedBytes = ([, weight]: readonly TensorType[]): number =>
  weight?.blocks === undefined ? 0 : 4 * BLOCK * (weight.shape[1] ?? 0);

function gradientSizes(inputs: readonly TensorType[], keepsLogits: boolean, threads: number) {
  const { n, c, v, stride } = sizesOf(inputs);
  const fitting = Math.floor(DLOGITS_BYTES / (BLOCK * Math.max(stride, 64)) / 8) * 8;
  const chunk = Math.min(roundUp(v, BLOCK), BLOCK * Math.min(MOST_BLOCKS, Math.max(8, fitting)));
  // For blocks of weight, and for the product that gives dHidden.
  const gemmBytes = blockScratch(Math.max(BLOCK, rowBlock(threads)), Math.max(n, c, chunk));
  const unpacked = gemmBytes + 2 * stride;
  const packing = inputs[1]?.blocks === undefined ? 0 : PACK_SCRATCH;
  const scratch = Math.max(unpacked + unpackedBytes(inputs), packing);
  const width = roundUp(c, 8);
  return {
    chunk,
    gemmBytes,
    unpacked,
    scratch,
    // Hidden packed as [C, N] and as [N, C], the chunk of weight, dLogits, scratch.
    spans: [
      keepsLogits ? 0 : c * stride,
      ...[4 * n * width, 4 * chunk * width],
      keepsLogits ? 0 : chunk * stride,
      threads * scratch,
    ],
  };
}

function gradientCalls({ inputs, outputs, attrs, threads, workspace }: LowerArgs): Call[] {
  const types = inputs.map((i) => i.type);
  const { c, v, stride } = sizesOf(types);
  const keepsLogits = attrs.keepLogits === true;
  const sizes = gradientSizes(types, keepsLogits, threads);
  const { chunk, gemmBytes, unpacked, scratch: scratchBytes, spans } = sizes;
  const [hiddenT, packed, packedWeight, chunkLogits, scratch] = cut(workspace.address, spans);
  if (!hiddenT || !packed || !packedWeight || !chunkLogits || !scratch) return [];
  const [hidden, weight, labels] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
  const [lses, dLogps] = [operand(inputs, 3), operand(inputs, 4)];
  const base = baseOf(inputs, accumulateOf(attrs), 1);
  const frozen = attrs.frozen === true;
  const [dHidden, dWeight] = [operand(outputs, 0), frozen ? undefined : operand(outputs, 1)];
  const kept = keepsLogits
    ? { logits: operand(inputs, 5), dLogits: operand(outputs, frozen ? 1 : 2) }
    : undefined;
  const rowBytes = rowBytesOf(weight.type);
  const rows = rowsOf(hidden.type);
  const calls = kept ? [] : [packHidden(hidden, hiddenT, c, true)];
  if (dWeight) calls.push(packHidden(hidden, packed, c, false));
  for (let first = 0; first < v; first += chunk) {
    const count = Math.min(chunk, v - first);
    const part = (whole: Span, bytes = 4 * c): Span => ({
      address: whole.address + bytes * first,
      bytes: bytes * count,
    });
    const weights = { ...part(weight, rowBytes), type: weight.type };
    const logits = kept && part(kept.logits, stride);
    const dLogits = kept ? part(kept.dLogits, stride) : chunkLogits;
    const columns = { inner: int(count), rows, first: 0, width: c, transposed: false };
    calls.push(
      packCall(weights, packedWeight, columns, scratch),
      {
        kernel: 'tokenLogProbsGradChunk',
        fields: [
          address(hiddenT),
          address(packed),
          address(weight),
          address(labels),
          address(lses),
          address(dLogps),
          rows,
          int(c),
          int(first),
          int(count),
          address(dLogits),
          int(stride),
          address(dWeight),
          address(base),
          address(scratch),
          int(scratchBytes),
          int(gemmBytes),
          ...[int(formatOf(weight.type)), int(rowBytes), int(unpacked)],
          address(logits),
        ],
        reads: [
          ...(logits ? [logits] : [hiddenT, weights]),
          ...[labels, lses, dLogps],
          ...(dWeight ? [packed] : []),
          ...(base ? [part(base)] : []),
        ],
        writes: [dLogits, scratch, ...(dWeight ? [part(dWeight)] : [])],
        // The logits again, and dWeight.
        flops: (run) => ((kept ? 0 : 2) + (dWeight ? 2 : 0)) * run.of(rows) * c * count,
      },
      {
        // dHidden [N, C] += dLogits [N, count] · weight [count, C]; dLogits lie transposed.
        kernel: 'gemm',
        fields: [
          address(dLogits),
          int(stride),
          flag(true),
          address(packedWeight),
          int(0),
          address(dHidden),
          int(4 * c),
          first === 0 ? int(0) : address(dHidden),
          int(0),
          rows,
          int(c),
          int(count),
          address(scratch),
          int(scratchBytes),
        ],
        reads: [dLogits, packedWeight, ...(first === 0 ? [] : [dHidden])],
        writes: [dHidden, scratch],
        flops: (run) => 2 * run.of(rows) * c * count,
      },
    );
  }
  return calls;
}

const tokenLogProbsGrad: Lowering = {
  workspace: (inputs, { keepLogits }, threads) =>
    total(gradientSizes(inputs, keepLogits === true, threads).spans),
  lower: gradientCalls,
};

export const tokenLogProbsLowerings: Record<string, Lowering> = { tokenLogProbs, tokenLogProbsGrad };
