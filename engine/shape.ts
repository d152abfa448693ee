import type { BlockFormat } from './blocks.ts';
import { blockBytes, blockFormats } from './blocks.ts';
import { ShapeError } from './errors.ts';

/**
 * f32 for everything that is computed with; i32 for ids, positions and segment tables; bf16 for what is kept between
 * runs in half the memory: ops that `widen` an input compute with it in float32.
 */
export type DType = 'f32' | 'i32' | 'bf16';

/**
 * What is known of a tensor before a program runs. `shape[0]` is a capacity where `rows` is set: the count of
 * that name, given by the inputs of each run, says how many of the rows are true, and kernels touch no others.
 */
export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly rows?: string | undefined;
  /** How a frozen variable's numbers are stored: packed along its rows. Ops that `unpack` an input take it as f32. */
  readonly blocks?: BlockFormat | undefined;
}

/** Number of elements. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Whole words of 4 bytes, but for blocks. */
export function bytesOf({ shape, dtype, blocks }: TensorType): number {
  const size = sizeOf(shape);
  if (blocks !== undefined) return blockBytes(blocks, size);
  return dtype === 'bf16' ? 4 * Math.ceil(size / 2) : 4 * size;
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

export const f32 = (shape: readonly number[], rows?: string): TensorType => ({ shape, dtype: 'f32', rows });
export const i32 = (shape: readonly number[], rows?: string): TensorType => ({ shape, dtype: 'i32', rows });
export const bf16 = (shape: readonly number[]): TensorType => ({ shape, dtype: 'bf16' });

const arrays = { f32: Float32Array, i32: Int32Array, bf16: Uint16Array } as const;

/** The kind of array that holds a tensor's numbers. */
export const arrayOf = ({ dtype }: TensorType): (typeof arrays)[DType] => arrays[dtype];

/** A matrix whose numbers are stored in blocks. Errors: rows that are no whole blocks. */
export function stored(shape: readonly [number, number], blocks: BlockFormat): TensorType {
  const { size } = blockFormats[blocks];
  if (shape[1] % size !== 0)
    throw new ShapeError(`${blocks} packs ${size} numbers, got rows of ${shape[1]}; store them as f32`);
  return { ...f32(shape), blocks };
}

/** `[12, 64]`, or `[12 tokens, 64]` where the first dimension is a capacity; `[12, 64] of bf16`. */
export function format(type: TensorType): string {
  const dims = type.shape.map((d, i) => (i === 0 && type.rows ? `${d} ${type.rows}` : `${d}`));
  const storage = type.blocks ?? (type.dtype === 'bf16' ? type.dtype : undefined);
  return `[${dims.join(', ')}]${storage ? ` of ${storage}` : ''}`;
}

/** The shape of one run: the capacity replaced by the run's count. */
export function trueShape(type: TensorType, counts: ReadonlyMap<string, number>): number[] {
  const shape = [...type.shape];
  if (type.rows !== undefined) shape[0] = counts.get(type.rows) ?? shape[0] ?? 1;
  return shape;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return strides;
}

/** NumPy's broadcasting of two types; a row count is kept where the first dimension comes from its tensor. */
export function broadcastTypes(op: string, a: TensorType, b: TensorType): TensorType {
  const rank = Math.max(a.shape.length, b.shape.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a.shape[a.shape.length - rank + i] ?? 1;
    const y = b.shape[b.shape.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new ShapeError(`${op}: shapes do not broadcast, got ${format(a)} and ${format(b)}`);
    shape.push(Math.max(x, y));
  }
  const rowsOf = (t: TensorType) => (t.shape.length === rank ? t.rows : undefined);
  const rows = [rowsOf(a), rowsOf(b)].filter((r) => r !== undefined);
  if (rows.length === 2 && rows[0] !== rows[1])
    throw new ShapeError(`${op}: rows count different things, got ${format(a)} and ${format(b)}`);
  const owner = rowsOf(a) !== undefined ? a : b;
  const other = owner === a ? b : a;
  if (rows.length === 1 && other.shape.length === rank && other.shape[0] !== 1)
    throw new ShapeError(
      `${op}: ${format(other)} has fixed rows where ${format(owner)} counts them; give both the same count`,
    );
  return f32(shape, rows[0]);
}
