import { PrefgradError } from '../errors.ts';
import type { Variable } from '../graph.ts';
import type { Attrs } from '../op.ts';
import type { TensorType } from '../shape.ts';
import { sizeOf } from '../shape.ts';
import type { Capabilities } from './capabilities.ts';
import type { ShaderFile } from './shaders.ts';

/** A stretch of memory: a variable's own, the run's inputs, or the arena. */
export interface Region {
  readonly home: Variable | 'inputs' | 'arena';
  readonly offset: number;
  readonly bytes: number;
}

/** A tensor as a dispatch sees it. */
export interface Operand extends Region {
  readonly type: TensorType;
}

/** True rows of a tensor in this run; its capacity where they are not counted, 1 of a scalar. */
export type CountRows = (type: TensorType) => number;

/**
 * One dispatch of a plan. The shader file declares a binding for each name in `reads` and `writes`; what is written
 * may be read too. Operands that lie at the same place become one binding (shaders.ts).
 */
export interface Dispatch {
  readonly shader: ShaderFile;
  readonly entry: string;
  /** Values of the file's `override` constants. */
  readonly constants: Readonly<Record<string, number>>;
  readonly reads: Readonly<Record<string, Region>>;
  readonly writes: Readonly<Record<string, Region>>;
  /** Workgroups in x, y and z for the true rows of a run. None in one of them: the dispatch is left out. */
  workgroups(rows: CountRows): readonly [number, number?, number?];
  /** Multiplications and additions at capacity, where they are what counts. */
  readonly flops?: number;
}

export interface LowerArgs {
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
  readonly attrs: Attrs;
  /** Memory that belongs to this node while it runs, `workspace()` bytes. */
  readonly workspace: Region;
  readonly capabilities: Capabilities;
  /** Constants for rowsAt(PLACE, CAPACITY): where the tensor's count stands, and its capacity. */
  readonly countOf: (type: TensorType) => { readonly place: number; readonly capacity: number };
}

/** How one op runs on WebGPU: its dispatches, and the bytes of workspace that they share. */
export interface Lowering {
  workspace?(inputs: readonly TensorType[], attrs: Attrs): number;
  lower(args: LowerArgs): Dispatch[];
}

export function operand(operands: readonly Operand[], index: number): Operand {
  const found = operands[index];
  if (found === undefined) throw new PrefgradError(`a dispatch has no operand ${index}`);
  return found;
}

/** Offsets of bindings are multiples of this on every adapter. */
export const ALIGNMENT = 256;
export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Places for true counts in the shaders' uniform, and the place that stands for none (shaders/common.wgsl). */
export const MOST_COUNTS = 16;
/** Bytes of that uniform, with which a step's buffer begins. */
export const COUNT_BYTES = align(4 * MOST_COUNTS);

/** Cuts a workspace into regions, in the order of their sizes in bytes. */
export function cut(workspace: Region, sizes: readonly number[]): Region[] {
  let { offset } = workspace;
  return sizes.map((bytes) => {
    const region = { ...workspace, offset, bytes };
    offset += align(bytes);
    return region;
  });
}

/** Bytes of a workspace of which `cut` makes regions of these sizes. */
export const cutBytes = (sizes: readonly number[]): number => sizes.reduce((n, bytes) => n + align(bytes), 0);

/** Elements of one row of the capacity shape. */
export const widthOf = (type: TensorType): number => sizeOf(type.shape.slice(1));

/** Workgroups along one dimension at most. */
const MOST_GROUPS = 65535;

/** `n` workgroups in x, and y where they are many (listIndex of shaders/common.wgsl). */
export function groupList(n: number): [number, number] {
  const y = Math.ceil(n / MOST_GROUPS);
  return [y > 1 ? Math.ceil(n / y) : n, Math.max(1, y)];
}

/** A number of an op's attributes. */
export function numberAttr(attrs: Attrs, name: string): number {
  const value = attrs[name];
  if (typeof value !== 'number') throw new PrefgradError(`attribute ${name} is not a number`);
  return value;
}
