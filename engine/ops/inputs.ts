import { PrefgradError, ShapeError } from '../errors.ts';
import type { Attrs, Value } from '../op.ts';
import type { DType, TensorType } from '../shape.ts';
import { format } from '../shape.ts';

/** An input's type, or an error that names the op that misses it. */
export function defined(op: string, type: TensorType | undefined): TensorType {
  if (type === undefined) throw new ShapeError(`${op}: an input is missing`);
  return type;
}

/** A definition's operand. */
export function one(value: Value | undefined): Value {
  if (value === undefined) throw new PrefgradError('an operand is missing');
  return value;
}

/** Checks dtype and rank: `expectType('rope', 'x', x, 'f32', 2)`. */
export function expectType(
  op: string,
  name: string,
  type: TensorType | undefined,
  dtype: DType,
  rank: number,
): TensorType {
  const t = defined(op, type);
  if (t.dtype !== dtype || t.shape.length !== rank)
    throw new ShapeError(
      `${op}: ${name} must be ${dtype} with ${rank} dimensions, got ${t.dtype} ${format(t)}`,
    );
  return t;
}

/** Checks that two sizes are one: `expectSize('matmul', 'inner sizes', 4, 8, 'transpose the second operand?')`. */
export function expectSize(
  op: string,
  what: string,
  got: number | undefined,
  expected: number | undefined,
  hint = '',
): void {
  if (got !== expected)
    throw new ShapeError(`${op}: ${what} differ, got ${got}, expected ${expected}${hint ? `; ${hint}` : ''}`);
}

/** Checks that two tensors have the same rows: the same capacity, counted by the same name. */
export function expectRows(op: string, a: TensorType, b: TensorType): void {
  if (a.shape[0] !== b.shape[0] || a.rows !== b.rows)
    throw new ShapeError(`${op}: rows differ, got ${format(a)} and ${format(b)}`);
}

/** Checks that all operands have one type, and gives it. */
export function expectSame(op: string, types: readonly (TensorType | undefined)[]): TensorType {
  const first = defined(op, types[0]);
  for (const t of types)
    if (format(defined(op, t)) !== format(first))
      throw new ShapeError(
        `${op}: operands differ, got ${types.map((x) => format(defined(op, x))).join(' and ')}`,
      );
  return first;
}

/** What an output is added onto, among all inputs of a node (op.accumulates). */
export function baseOf<T>(
  inputs: readonly T[],
  accumulate: readonly number[],
  output: number,
): T | undefined {
  const at = accumulate.indexOf(output);
  return at < 0 ? undefined : inputs[inputs.length - accumulate.length + at];
}

/** Pairs for op.inPlace: each accumulated output may take the memory of what it is added onto. */
export const basePairs = (inputs: number, accumulate: readonly number[]): [number, number][] =>
  accumulate.map((output, i) => [inputs - accumulate.length + i, output]);

/** attrs.accumulate of a node of any op. */
export const accumulateOf = (attrs: Attrs): readonly number[] =>
  Array.isArray(attrs['accumulate']) ? (attrs['accumulate'] as readonly number[]) : [];
