import { PrefgradError } from '../../errors.ts';
import type { TensorType } from '../../shape.ts';
import { format, sizeOf, stridesOf } from '../../shape.ts';
import type { Field } from '../call.ts';
import { int, rowsOf } from '../call.ts';

/** The nested loops, outermost first, in which a kernel writes an output in order. */
export interface Loops {
  /** Sizes [d0, d1, d2, n]; the first that is not 1 holds the true rows, where the output counts them. */
  readonly dims: readonly Field[];
  /** For each operand, the elements by which it moves in one turn of each loop. */
  readonly steps: readonly (readonly number[])[];
}

const DEPTH = 4;

/** Steps of an operand that is broadcast to `out`: 0 where it is repeated. */
export function broadcastSteps(type: TensorType, out: TensorType): number[] {
  const strides = stridesOf(type.shape);
  const lead = out.shape.length - type.shape.length;
  return out.shape.map((_, i) => ((type.shape[i - lead] ?? 1) === 1 ? 0 : (strides[i - lead] ?? 0)));
}

/**
 * Loops over `out` with as few levels as the operands' steps allow: dimensions of size 1 go, and neighbours merge
 * where every operand walks through both in even steps.
 */
export function loopsOver(op: string, out: TensorType, steps: readonly (readonly number[])[]): Loops {
  const levels: { size: number; first: boolean; steps: number[] }[] = [];
  out.shape.forEach((size, i) => {
    const counted = i === 0 && out.rows !== undefined;
    if (size === 1 && !counted) return;
    const here = steps.map((s) => s[i] ?? 0);
    const outer = levels[levels.length - 1];
    if (outer && outer.steps.every((step, k) => step === size * (here[k] ?? 0))) {
      outer.size *= size;
      outer.steps = here;
    } else levels.push({ size, first: levels.length === 0, steps: here });
  });
  if (levels.length > DEPTH)
    throw new PrefgradError(
      `${op}: the operands of ${format(out)} need ${levels.length} nested loops, and WebAssembly's kernels have ${DEPTH}; reshape them to fewer dimensions`,
    );
  const padding = DEPTH - levels.length;
  return {
    dims: [
      ...new Array<Field>(padding).fill(int(1)),
      ...levels.map(({ size, first }) =>
        first && out.rows !== undefined ? countedSize(out, size) : int(size),
      ),
    ],
    steps: steps.map((_, k) => [
      ...new Array<number>(padding).fill(0),
      ...levels.map((level) => level.steps[k] ?? 0),
    ]),
  };
}

/** A merged size whose first factor is the output's counted dimension. */
const countedSize = (out: TensorType, size: number): Field =>
  rowsOf(out, out.shape[0] ? size / out.shape[0] : sizeOf(out.shape.slice(1)));
