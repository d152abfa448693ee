import type { Attrs } from '../../op.ts';
import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import type { Dispatch, LowerArgs, Lowering, Region } from '../dispatch.ts';
import { operand } from '../dispatch.ts';

const TILE = 64;
const DEPTH = 16;
/** As in shaders/matmulMatrices.wgsl: what is summed over at a time. */
const MATRIX_STEP = 32;
/** Up to this many rows, B is read once a row instead of being shared by a tile. */
const FEW_ROWS = 4;
const THREADS = 256;
/** Threads that share the sum of a column of few rows. */
const TEAM = 64;

/** C[M, N] = A · B, whichever of them is given transposed; what is known of it before it runs. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Types whose counts are the rows of C and what is summed over, where those are counted. */
  readonly rows?: TensorType | undefined;
  readonly inner?: TensorType | undefined;
}

export interface ProductOperands {
  readonly a: Region;
  readonly b: Region;
  readonly c: Region;
  readonly bias?: Region | undefined;
  readonly base?: Region | undefined;
  /** Where the sums of A's rows or B's columns over what is summed over go, and what they are added onto. */
  readonly sums?:
    { readonly of: 'a' | 'b'; readonly y: Region; readonly base?: Region | undefined } | undefined;
}

export function productOf(a: TensorType, b: TensorType, attrs: Attrs): Product {
  const transposeA = attrs.transposeA === true;
  const transposeB = attrs.transposeB === true;
  const [rows = 0, columns = 0] = a.shape;
  return {
    m: transposeA ? columns : rows,
    k: transposeA ? rows : columns,
    n: b.shape[transposeB ? 0 : 1] ?? 0,
    ...{ transposeA, transposeB },
    rows: transposeA ? undefined : a,
    inner: transposeA ? a : undefined,
  };
}

/** The dispatch of one product. */
export function productDispatch(
  product: Product,
  operands: ProductOperands,
  { countOf, capabilities }: LowerArgs,
): Dispatch {
  const { m, n, k, transposeA, transposeB, rows, inner } = product;
  const { a, b, c, bias, base, sums } = operands;
  const few = m <= FEW_ROWS && sums === undefined;
  const matrices = typeof capabilities.products === 'object';
  const entry = few ? (transposeB ? 'alongRows' : 'alongColumns') : matrices ? 'matrices' : 'tiled';
  const depth = matrices ? MATRIX_STEP : DEPTH;
  return {
    shader: 'matmul',
    entry,
    constants: {
      ...{ M: m, N: n, K: k },
      ...(rows ? { ROWS_PLACE: countOf(rows).place } : {}),
      ...(inner ? { INNER_PLACE: countOf(inner).place } : {}),
      ...{ TRANSPOSE_A: Number(transposeA), TRANSPOSE_B: Number(transposeB) },
      ...{ HAS_BIAS: Number(bias !== undefined), HAS_BASE: Number(base !== undefined) },
      ...(sums ? { SUMS: sums.of === 'a' ? 1 : 2, HAS_SUMS_BASE: Number(sums.base !== undefined) } : {}),
      ...(entry === 'alongRows' ? { TEAM } : {}),
      ROW_EDGE: Number(rows?.rows !== undefined || m % TILE > 0),
      COLUMN_EDGE: Number(n % TILE > 0),
      INNER_EDGE: Number(inner?.rows !== undefined || k % depth > 0),
    },
    reads: {
      ...{ a, b },
      ...(bias ? { bias } : {}),
      ...(base ? { base } : {}),
      ...(sums?.base ? { sumsBase: sums.base } : {}),
    },
    writes: { c, ...(sums ? { sums: sums.y } : {}) },
    workgroups: (rowsOf) => {
      const height = rows ? rowsOf(rows) : m;
      if (few) return [Math.ceil(n / (transposeB ? THREADS / TEAM : TILE)), height];
      return [Math.ceil(n / TILE), Math.ceil(height / TILE)];
    },
    flops: 2 * m * n * k,
  };
}

const matmul: Lowering = {
  lower(args) {
    const { inputs, outputs, attrs } = args;
    const [a, b, c] = [operand(inputs, 0), operand(inputs, 1), operand(outputs, 0)];
    const product = productOf(a.type, b.type, attrs);
    if (product.m === 0 || product.n === 0) return [];
    const bias = attrs.bias === true ? operand(inputs, 2) : undefined;
    const base = baseOf(inputs, accumulateOf(attrs), 0);
    return [productDispatch(product, { a, b, c, bias, base }, args)];
  },
};

const weightGrad: Lowering = {
  lower(args) {
    const { inputs, outputs, attrs } = args;
    const [x, dy] = [operand(inputs, 0), operand(inputs, 1)];
    const [c, dBias] = [operand(outputs, 0), operand(outputs, 1)];
    const accumulate = accumulateOf(attrs);
    const transposed = attrs.transposed === true;
    const [a, b] = transposed ? [dy, x] : [x, dy];
    const product = productOf(a.type, b.type, { transposeA: true });
    if (product.m === 0 || product.n === 0) return [];
    const sums = {
      of: transposed ? ('a' as const) : ('b' as const),
      y: dBias,
      base: baseOf(inputs, accumulate, 1),
    };
    return [productDispatch(product, { a, b, c, base: baseOf(inputs, accumulate, 0), sums }, args)];
  },
};

export const matmulLowerings: Record<string, Lowering> = { matmul, weightGrad };
