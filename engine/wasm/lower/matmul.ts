import type { Attrs } from '../../op.ts';
import { accumulateOf, baseOf } from '../../ops/inputs.ts';
import type { TensorType } from '../../shape.ts';
import type { Call, Field, LowerArgs, Lowering, Operand, Span } from '../call.ts';
import { address, flag, int, operand, rowsOf, widthOf } from '../call.ts';
import { PACK_SCRATCH, formatOf, gemvScratch, packCall, rowBytesOf } from './blocks.ts';
import { PANEL, blockScratch, rowBlock } from './tileSize.ts';

/** Packed columns of B that one pair of calls works on: their panels fill at most this many bytes. */
const PACKED_BYTES = 16 << 20;
/** Up to this many rows of A, B is read where it lies: rows of weights (given as [N, K]), or columns. */
const FEW_ROWS = { transposeB: 24, plain: 8 };
/** B of at most this many bytes stays in the caches, and is multiplied as it lies where its rows are whole panels. */
const SMALL_BYTES = 128 << 10;
const roundUp = (n: number, step: number): number => Math.ceil(n / step) * step;

/** A product C[M, N] = A · B, whichever of them is given transposed. */
interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** B is stored in blocks, along its rows as they lie. */
  readonly blocks: boolean;
}

type Plan =
  | { readonly kind: 'gemv' | 'direct' }
  /** B's columns are packed in turns of `columns`. */
  | { readonly kind: 'packed'; readonly columns: number };

function productOf(
  [a, b]: readonly { readonly shape: readonly number[]; readonly blocks?: unknown }[],
  attrs: Attrs,
): Product {
  const transposeA = attrs.transposeA === true;
  const transposeB = attrs.transposeB === true;
  const [rows = 0, columns = 0] = a?.shape ?? [];
  return {
    m: transposeA ? columns : rows,
    k: transposeA ? rows : columns,
    n: b?.shape[transposeB ? 0 : 1] ?? 0,
    transposeA,
    transposeB,
    blocks: b?.blocks !== undefined,
  };
}

function planOf({ m, n, k, transposeA, transposeB, blocks }: Product): Plan {
  const few = m <= (transposeB ? FEW_ROWS.transposeB : FEW_ROWS.plain) && (!transposeA || m === 1);
  if (blocks ? few && transposeB : few || n === 1) return { kind: 'gemv' };
  if (!blocks && !transposeB && n % PANEL === 0 && 4 * n * k <= SMALL_BYTES) return { kind: 'direct' };
  const most = Math.max(PANEL, Math.floor(PACKED_BYTES / (4 * Math.max(k, 1) * PANEL)) * PANEL);
  return { kind: 'packed', columns: roundUp(Math.ceil(n / Math.ceil(n / most)), blocks ? 64 : PANEL) };
}

/** Of each thread, in gemm. */
const gemmScratch = ({ m, k }: Product, threads: number): number =>
  blockScratch(Math.min(m, rowBlock(threads)), k);

const packedBytes = ({ k }: Product, columns: number): number => roundUp(4 * k * columns, 64);

function workspaceOf(product: Product, threads: number): number {
  const plan = planOf(product);
  if (plan.kind === 'gemv') return product.blocks ? threads * gemvScratch(product.k) : 0;
  const scratch = threads * (gemmScratch(product, threads) + (product.blocks ? PACK_SCRATCH : 0));
  return plan.kind === 'packed' ? packedBytes(product, plan.columns) + scratch : scratch;
}

interface Operands {
  readonly a: Operand;
  readonly b: Operand;
  readonly c: Operand;
  readonly bias: Operand | undefined;
  readonly base: Operand | undefined;
  readonly rows: Field;
  readonly inner: Field;
}

/** As gemvCalls where W is in blocks. */
function gemvBlocksCall(
  { n, k }: Product,
  { a, b, c, bias, base, rows, inner }: Operands,
  workspace: Span,
): Call {
  return {
    kernel: 'gemvRowsBlocks',
    fields: [
      ...[address(a), int(4 * k), address(b), int(rowBytesOf(b.type)), address(c), int(4 * n)],
      ...[address(base), address(bias), rows, int(n), inner, int(formatOf(b.type)), address(workspace)],
    ],
    reads: present(a, b, bias, base),
    writes: [c, workspace],
    flops: (run) => 2 * run.of(rows) * n * run.of(inner),
  };
}

/** A row (or, for N = 1, a column) of numbers times a matrix that is read once. */
function gemvCalls(product: Product, { a, b, c, bias, base, rows, inner }: Operands): Call[] {
  const { m, n, k, transposeA, transposeB } = product;
  // A · b for a column b is bᵀ · Aᵀ: the same kernels, with the operands swapped.
  const swapped = n === 1 && !(m === 1);
  const [x, w] = swapped ? [b, a] : [a, b];
  const alongRows = swapped ? !transposeA : transposeB || n === 1;
  const width = swapped ? m : n;
  return [
    {
      kernel: alongRows ? 'gemvRows' : 'gemvColumns',
      fields: [
        address(x),
        int(4 * k),
        address(w),
        int(4 * (alongRows ? k : width)),
        address(c),
        int(4 * n),
        address(base),
        address(bias),
        int(swapped ? 0 : 4),
        swapped ? int(1) : rows,
        swapped ? rows : int(n),
        inner,
      ],
      reads: present(a, b, bias, base),
      writes: [c],
      flops: (run) => 2 * run.of(rows) * n * run.of(inner),
    },
  ];
}

const present = (...spans: (Span | undefined)[]): Span[] => spans.filter((s) => s !== undefined);

function gemmCalls(
  product: Product,
  operands: Operands,
  plan: Plan,
  { threads, workspace }: LowerArgs,
): Call[] {
  const { a, b, c, bias, base, rows, inner } = operands;
  const { m, n, k, transposeA, transposeB } = product;
  const columns = plan.kind === 'packed' ? plan.columns : n;
  const taken = plan.kind === 'packed' ? packedBytes(product, columns) : 0;
  const packed = { address: workspace.address, bytes: taken };
  const scratch = { address: workspace.address + taken, bytes: threads * gemmScratch(product, threads) };
  const unpacking = { address: scratch.address + scratch.bytes, bytes: threads * PACK_SCRATCH };
  const ldb = 4 * (transposeB ? k : n);
  const calls: Call[] = [];
  for (let j = 0; j < n; j += columns) {
    const width = Math.min(columns, n - j);
    if (plan.kind === 'packed')
      calls.push(packCall(b, packed, { inner, rows, first: j, width, transposed: transposeB }, unpacking));
    calls.push({
      kernel: 'gemm',
      fields: [
        address(a),
        int(4 * (transposeA ? m : k)),
        flag(transposeA),
        plan.kind === 'packed' ? address(packed) : address(b),
        int(plan.kind === 'packed' ? 0 : ldb),
        address(c, 4 * j),
        int(4 * n),
        address(base, 4 * j),
        address(bias, 4 * j),
        rows,
        int(width),
        inner,
        address(scratch),
        int(gemmScratch(product, threads)),
      ],
      reads: present(a, plan.kind === 'packed' ? packed : b, bias, base),
      writes: [c, scratch],
      flops: (run) => 2 * run.of(rows) * width * run.of(inner),
    });
  }
  return calls;
}

/** The calls of a product, whichever way it is made. */
function productCalls(product: Product, operands: Operands, args: LowerArgs): Call[] {
  if (product.m === 0 || product.n === 0) return [];
  const plan = planOf(product);
  if (plan.kind !== 'gemv') return gemmCalls(product, operands, plan, args);
  return product.blocks ? [gemvBlocksCall(product, operands, args.workspace)] : gemvCalls(product, operands);
}

const matmul: Lowering = {
  workspace: (inputs: readonly TensorType[], attrs, threads) =>
    workspaceOf(productOf(inputs, attrs), threads),
  lower(args) {
    const { inputs, outputs, attrs } = args;
    const product = productOf(
      inputs.map((i) => i.type),
      attrs,
    );
    const a = operand(inputs, 0);
    const counted = rowsOf(a.type);
    const operands: Operands = {
      a,
      b: operand(inputs, 1),
      c: operand(outputs, 0),
      bias: attrs.bias === true ? operand(inputs, 2) : undefined,
      base: baseOf(inputs, accumulateOf(attrs), 0),
      rows: product.transposeA ? int(product.m) : counted,
      inner: product.transposeA ? counted : int(product.k),
    };
    return productCalls(product, operands, args);
  },
};

/** The product of weightGrad: aᵀ · b. */
function weightProduct([x, dy]: readonly { readonly shape: readonly number[] }[], attrs: Attrs) {
  const [a, b] = attrs.transposed === true ? [dy, x] : [x, dy];
  const pair = [a, b].filter((t) => t !== undefined);
  return productOf(pair, { transposeA: true });
}

const weightGrad: Lowering = {
  workspace: (inputs, attrs, threads) => workspaceOf(weightProduct(inputs, attrs), threads),
  lower(args) {
    const { inputs, outputs, attrs } = args;
    const [x, dy, dWeight, dBias] = [
      ...[operand(inputs, 0), operand(inputs, 1)],
      ...[operand(outputs, 0), operand(outputs, 1)],
    ];
    const accumulate = accumulateOf(attrs);
    const rows = rowsOf(x.type);
    const product = weightProduct([x.type, dy.type], attrs);
    const [a, b] = attrs.transposed === true ? [dy, x] : [x, dy];
    const base = baseOf(inputs, accumulate, 0);
    const operands = { a, b, c: dWeight, bias: undefined, base, rows: int(product.m), inner: rows };
    return [...productCalls(product, operands, args), columnSums(dy, dBias, baseOf(inputs, accumulate, 1))];
  },
};

/** y [N] = Σ of the true rows of x [T, N]. */
function columnSums(x: Operand, y: Operand, base: Operand | undefined): Call {
  const fields = [
    address(x),
    address(y),
    int(1),
    rowsOf(x.type),
    int(widthOf(x.type)),
    int(0),
    address(base),
  ];
  return { kernel: 'reduceColumns', fields, reads: present(x, base), writes: [y] };
}

export const matmulLowerings: Record<string, Lowering> = { matmul, weightGrad };
