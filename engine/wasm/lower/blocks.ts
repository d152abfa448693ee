import { blockBytes, blockFormats } from '../../blocks.ts';
import type { TensorType } from '../../shape.ts';
import type { Call, Field, Lowering, Span } from '../call.ts';
import { address, flag, int, operand, rowsOf, widthOf } from '../call.ts';
import { K_BLOCK } from './tileSize.ts';

/** What kernels call the storage of a tensor: 0 for floats. */
export const formatOf = ({ blocks }: TensorType): number =>
  blocks === undefined ? 0 : blockFormats[blocks].code;

/** Bytes from one row of a matrix to the next, whichever way it is stored. */
export function rowBytesOf({ shape, blocks }: TensorType): number {
  const width = shape[1] ?? 0;
  return blocks === undefined ? 4 * width : blockBytes(blocks, width);
}

/** A thread's scratch in packBlocks: 64 columns by a block of k, or 8 rows of one and its edges. */
export const PACK_SCRATCH = 4 * 64 * K_BLOCK;
/** A thread's scratch in gemvRowsBlocks. */
export const gemvScratch = (k: number): number => 16 * k;

/** Columns [first, first + width) of B [K, N], or rows of B [N, K] where `transposed`, packed for gemm. */
export function packCall(
  b: Span & { readonly type: TensorType },
  packed: Span,
  part: {
    readonly inner: Field;
    readonly rows: Field;
    readonly first: number;
    readonly width: number;
    readonly transposed: boolean;
  },
  scratch: Span,
): Call {
  const { inner, rows, first, width, transposed } = part;
  const rowBytes = rowBytesOf(b.type);
  const whole = formatOf(b.type) !== 0;
  const start = transposed ? first * rowBytes : whole ? 0 : 4 * first;
  const fields = [
    address(b, start),
    address(packed),
    inner,
    int(width),
    int(rowBytes),
    flag(transposed),
    rows,
  ];
  return {
    kernel: whole ? 'packBlocks' : 'packB',
    fields: whole
      ? [...fields, int(formatOf(b.type)), int(transposed ? 0 : first), address(scratch), int(PACK_SCRATCH)]
      : fields,
    reads: [b],
    writes: whole ? [packed, scratch] : [packed],
  };
}

export const blockLowerings: Record<string, Lowering> = {
  unpack: {
    lower({ inputs, outputs }) {
      const [x, y] = [operand(inputs, 0), operand(outputs, 0)];
      return [
        {
          kernel: 'unpack',
          fields: [
            ...[address(x), address(y), rowsOf(x.type), int(widthOf(x.type))],
            ...[int(formatOf(x.type)), int(rowBytesOf(x.type))],
          ],
          reads: [x],
          writes: [y],
        },
      ];
    },
  },
};
