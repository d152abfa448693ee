import { PrefgradError } from '../errors.ts';
import type { Span } from '../freeList.ts';
import type { Loops } from '../loops.ts';
import type { Attrs } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { bytesOf, sizeOf } from '../shape.ts';

export type { Span } from '../freeList.ts';

/** A tensor as a kernel call sees it: where it lies, and how much room its capacity takes. */
export interface Operand extends Span {
  readonly type: TensorType;
}

/** One 32-bit field of a call record. A count is filled in anew at each run: true rows × times. */
export type Field =
  | { readonly kind: 'int' | 'float'; readonly value: number }
  | { readonly kind: 'count'; readonly rows: string; readonly times: number };

/**
 * One kernel call of a plan. Its fields lie in memory as a record, field 0 being the call's task counter and the
 * given ones following from 1; the kernel is called as kernel(record, thread, threads) by every thread, and splits
 * the work by them or takes tasks from the counter. A barrier stands before a call only where it reads or writes
 * what a call since the last barrier wrote, or writes what one read.
 */
export interface Call {
  /** Name of the exported kernel. */
  readonly kernel: string;
  readonly fields: readonly Field[];
  readonly reads: readonly Span[];
  readonly writes: readonly Span[];
  /** Multiplications and additions of matrix products in a run, for a profile; left out where there are none. */
  readonly flops?: (run: RunNumbers) => number;
}

/** What a run is given. */
export interface RunNumbers {
  readonly of: (field: Field) => number;
  /** The true rows of an i32 tensor that is an input. */
  readonly ints: (operand: Operand) => Int32Array;
}

export interface LowerArgs {
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
  readonly attrs: Attrs;
  readonly threads: number;
  /** Memory that belongs to this node while it runs, `workspace()` bytes, 64-byte aligned. */
  readonly workspace: Span;
}

/** How one op runs on WebAssembly: its calls, and the bytes of workspace that they share. */
export interface Lowering {
  workspace?(inputs: readonly TensorType[], attrs: Attrs, threads: number): number;
  lower(args: LowerArgs): Call[];
}

export const int = (value: number): Field => ({ kind: 'int', value });
export const float = (value: number): Field => ({ kind: 'float', value });
export const flag = (value: boolean): Field => int(value ? 1 : 0);
export const address = (span: Span | undefined, offset = 0): Field => int(span ? span.address + offset : 0);

/** True rows of a tensor × times: a count where the type counts its rows, else a plain number. */
export function rowsOf(type: TensorType, times = 1): Field {
  return type.rows === undefined
    ? int((type.shape[0] ?? 1) * times)
    : { kind: 'count', rows: type.rows, times };
}

/** Elements in the true rows. */
export const elementsOf = (type: TensorType): Field => rowsOf(type, sizeOf(type.shape.slice(1)));

/** Elements of one row of the capacity shape. */
export const widthOf = (type: TensorType): number => sizeOf(type.shape.slice(1));

export function operand(operands: readonly Operand[], index: number): Operand {
  const found = operands[index];
  if (found === undefined) throw new PrefgradError(`a kernel call has no operand ${index}`);
  return found;
}

/** Fields of nested loops over `out`: the four sizes, true rows in place of a capacity, then each operand's steps. */
export function loopFields(out: TensorType, { sizes, counted, steps }: Loops): Field[] {
  const dims = sizes.map((size, i) => (i === counted ? rowsOf(out, size / (out.shape[0] || 1)) : int(size)));
  return [...dims, ...steps.flat().map(int)];
}

/** The memory of a whole tensor. */
export const span = (start: number, type: TensorType): Operand => ({
  address: start,
  bytes: bytesOf(type),
  type,
});

/** A number of an op's attributes. */
export function numberAttr(attrs: Attrs, name: string): number {
  const value = attrs[name];
  if (typeof value !== 'number') throw new PrefgradError(`attribute ${name} is not a number`);
  return value;
}
