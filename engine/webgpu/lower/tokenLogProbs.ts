import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { Attrs } from '../../op.ts';
import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs, Lowering, Operand, Region } from '../dispatch.ts';
import { cut, cutBytes, groupList, operand } from '../dispatch.ts';
import { copyUnlessThere } from './layout.ts';
import { listDispatch } from './list.ts';
import type { Product } from './matmul.ts';
import { productDispatch } from './matmul.ts';

/** Logits of one chunk of the vocabulary take up about as much at most, and have so many columns at most. */
const LOGIT_BYTES = 64 << 20;
const MOST_ENTRIES = 1 << 16;
/** Chunks are multiples of the products' tile, so that each begins at an aligned row of the weight. */
const TILE = 64;

/** N rows (a capacity), width C, vocabulary V in chunks of about the same size. */
function sizesOf([hidden, weight]: readonly TensorType[]) {
  const [n = 0, c = 0] = hidden?.shape ?? [];
  const v = weight?.shape[0] ?? 0;
  const fitting = Math.floor(LOGIT_BYTES / (4 * Math.max(n, 1)) / TILE) * TILE;
  const chunks = Math.ceil(v / Math.min(MOST_ENTRIES, Math.max(TILE, fitting)));
  const chunk = Math.ceil(v / Math.max(chunks, 1) / TILE) * TILE;
  return { n, c, v, chunk, logitBytes: 4 * n * Math.min(chunk, v) };
}

/** One chunk: its rows of a tensor [V, C], its logits, and the region whose length tells the shader its number. */
interface Chunk {
  readonly count: number;
  readonly logits: Region;
  readonly chunks: Region;
  rowsOf(tensor: Region): Region;
}

/** The chunks' logits lie side by side where they are kept, else each where the one before it was. */
function chunksOf(
  weight: Operand,
  logits: Region,
  keepsLogits: boolean,
  types: readonly TensorType[],
): Chunk[] {
  const { n, c, v, chunk } = sizesOf(types);
  return Array.from({ length: Math.ceil(v / chunk) }, (_, i) => {
    const count = Math.min(chunk, v - i * chunk);
    return {
      count,
      logits: {
        ...logits,
        offset: logits.offset + (keepsLogits ? 4 * n * i * chunk : 0),
        bytes: 4 * n * count,
      },
      chunks: { ...weight, bytes: 4 * (i + 1) },
      rowsOf: (tensor) => ({ ...tensor, offset: tensor.offset + 4 * i * chunk * c, bytes: 4 * count * c }),
    };
  });
}

const plain = { transposeA: false, transposeB: false } as const;

/** Logits [N, count] = hidden · (rows of weight)ᵀ. */
function logitDispatch(hidden: Operand, b: Region, { count, logits: c }: Chunk, args: LowerArgs) {
  const [m = 0, k = 0] = hidden.type.shape;
  const product: Product = { ...plain, m, n: count, k, transposeB: true, rows: hidden.type };
  return productDispatch(product, { a: hidden, b, c }, args);
}

function constantsOf(types: readonly TensorType[], rows: TensorType, countOf: LowerArgs['countOf']) {
  const { v: VOCABULARY, chunk: CHUNK } = sizesOf(types);
  const { place: PLACE, capacity: ROWS } = countOf(rows);
  return { PLACE, ROWS, VOCABULARY, CHUNK };
}

/** Logits of a chunk, and the states of the rows. */
const forwardSizes = (types: readonly TensorType[], attrs: Attrs): number[] => {
  const { n, logitBytes } = sizesOf(types);
  return [attrs.keepLogits === true ? 0 : logitBytes, 32 * n];
};

const tokenLogProbs: Lowering = {
  workspace: (inputs, attrs) => cutBytes(forwardSizes(inputs, attrs)),
  lower(args) {
    const { inputs, outputs, attrs, workspace, countOf } = args;
    const types = inputs.map((i) => i.type);
    const [hidden, weight, labels] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
    const [logps, lses] = [operand(outputs, 0), operand(outputs, 1)];
    const [logits, states] = cut(workspace, forwardSizes(types, attrs));
    if (!logits || !states || sizesOf(types).n === 0) return [];
    const wanted = attrs.statistics === true;
    const kept = attrs.keepLogits === true ? operand(outputs, wanted ? 3 : 2) : undefined;
    const constants = { ...constantsOf(types, hidden.type, countOf), STATISTICS: Number(wanted) };
    return chunksOf(weight, kept ?? logits, kept !== undefined, types).flatMap((chunk): Dispatch[] => [
      logitDispatch(hidden, chunk.rowsOf(weight), chunk, args),
      {
        shader: 'tokenLogProbs',
        entry: 'addChunk',
        constants,
        reads: { chunks: chunk.chunks, labels },
        writes: {
          ...{ logits: chunk.logits, states, logps, lses },
          ...(wanted ? { statistics: operand(outputs, 2) } : {}),
        },
        workgroups: (rows) => groupList(rows(hidden.type)),
      },
    ]);
  },
};

const tokenLogProbsGrad: Lowering = {
  workspace: (inputs, { keepLogits }) => (keepLogits === true ? 0 : sizesOf(inputs).logitBytes),
  lower(args) {
    const { inputs, outputs, attrs, workspace, countOf } = args;
    const types = inputs.map((i) => i.type);
    const [hidden, weight, labels] = [operand(inputs, 0), operand(inputs, 1), operand(inputs, 2)];
    const [logSums, dLogps] = [operand(inputs, 3), operand(inputs, 4)];
    const base = baseOf(inputs, accumulateOf(attrs), 1);
    const frozen = attrs.frozen === true;
    const [dHidden, dWeight] = [operand(outputs, 0), frozen ? undefined : operand(outputs, 1)];
    const kept = attrs.keepLogits === true ? operand(outputs, frozen ? 1 : 2) : undefined;
    const { n, c } = sizesOf(types);
    const constants = constantsOf(types, hidden.type, countOf);
    const chunks = chunksOf(weight, kept ?? workspace, kept !== undefined, types);
    const gradients = chunks.flatMap((chunk, i): Dispatch[] => {
      const { count, logits } = chunk;
      const rows = chunk.rowsOf(weight);
      const onHidden: Product = { ...plain, m: n, n: c, k: count, rows: hidden.type };
      const onWeight: Product = { ...plain, m: count, n: c, k: n, transposeA: true, inner: hidden.type };
      return [
        ...(kept ? [] : [logitDispatch(hidden, rows, chunk, args)]),
        listDispatch(
          hidden.type,
          countOf,
          {
            shader: 'tokenLogProbs',
            entry: 'dLogits',
            constants,
            reads: { chunks: chunk.chunks, labels, logSums, dLogps },
            writes: { logits },
          },
          count,
        ),
        productDispatch(
          onHidden,
          { a: logits, b: rows, c: dHidden, base: i > 0 ? dHidden : undefined },
          args,
        ),
        ...(dWeight
          ? [
              productDispatch(
                onWeight,
                { a: logits, b: hidden, c: chunk.rowsOf(dWeight), base: base && chunk.rowsOf(base) },
                args,
              ),
            ]
          : []),
      ];
    });
    return [...(kept ? copyUnlessThere(operand(inputs, 5), kept, countOf) : []), ...gradients];
  },
};

export const tokenLogProbsLowerings: Record<string, Lowering> = { tokenLogProbs, tokenLogProbsGrad };
