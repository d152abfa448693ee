import { PrefgradError } from './errors.ts';
import type { TensorType } from './shape.ts';
import { format, stridesOf } from './shape.ts';

/** The nested loops, outermost first, in which a kernel writes an output in order. */
export interface Loops {
  /** Sizes [d0, d1, d2, n] at capacity. */
  readonly sizes: readonly number[];
  /** The level that the output's counted dimension is the first factor of. */
  readonly counted: number | undefined;
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
  const levels: { size: number; steps: number[] }[] = [];
  out.shape.forEach((size, i) => {
    const counted = i === 0 && out.rows !== undefined;
    if (size === 1 && !counted) return;
    const here = steps.map((s) => s[i] ?? 0);
    const outer = levels[levels.length - 1];
    if (outer && outer.steps.every((step, k) => step === size * (here[k] ?? 0))) {
      outer.size *= size;
      outer.steps = here;
    } else levels.push({ size, steps: here });
  });
  if (levels.length > DEPTH)
    throw new PrefgradError(
      `${op}: the operands of ${format(out)} need ${levels.length} nested loops, and kernels have ${DEPTH}; reshape them to fewer dimensions`,
    );
  const padding = DEPTH - levels.length;
  return {
    sizes: [...new Array<number>(padding).fill(1), ...levels.map((level) => level.size)],
    counted: out.rows === undefined ? undefined : padding,
    steps: steps.map((_, k) => [
      ...new Array<number>(padding).fill(0),
      ...levels.map((level) => level.steps[k] ?? 0),
    ]),
  };
}
