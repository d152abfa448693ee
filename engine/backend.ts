import { bfloat16ToFloat32, toBfloat16 } from './bfloat16.ts';
import { PrefgradError } from './errors.ts';
import type { BlockFormat } from './blocks.ts';
import type { Program } from './compile.ts';
import type { Variable } from './graph.ts';
import type { TensorType } from './shape.ts';
import { bytesOf, format, sizeOf } from './shape.ts';

/** Numbers that come from or go to a device; the reference backend computes in float64. */
export type Numbers = Float32Array | Float64Array;
export type InputNumbers = Numbers | Int32Array | readonly number[];

/** Bytes that are in use, known before a program runs. */
export interface MemoryUse {
  readonly variables: number;
  /** The one arena that all programs of the device share. */
  readonly arena: number;
  readonly total: number;
}

/** A program that a device has placed in its memory. */
export interface Executable {
  readonly program: Program;
  /** Bytes of intermediate tensors that one run needs. */
  readonly arenaBytes: number;
  /**
   * One run. An input whose first dimension counts rows may be given with fewer rows than its capacity; inputs of
   * the same count must agree. Resolves with the outputs' true rows.
   */
  run(inputs: Readonly<Record<string, InputNumbers>>): Promise<Record<string, Numbers>>;
  dispose(): void;
}

/** What a backend is to everything above it. Runs of one device never overlap. */
export interface Device {
  readonly kind: 'reference' | 'wasm' | 'webgpu';
  /** One line for people: the backend, its instruction set or adapter, threads. */
  readonly description: string;
  /** Runs that should be under way before the first is awaited, so that the device never waits for the caller. */
  readonly lag: number;
  /** Formats in which it keeps variables as they are stored. */
  readonly blocks: readonly BlockFormat[];
  /** Gives a variable its numbers, or the bytes of its blocks; without, it starts at zeros. */
  write(variable: Variable, numbers: InputNumbers | Uint8Array): void;
  read(variable: Variable): Promise<Numbers>;
  free(variable: Variable): void;
  load(program: Program): Promise<Executable>;
  readonly memory: MemoryUse;
  dispose(): Promise<void>;
}

/** Checks what a variable is given: as many numbers as it has, or all bytes of its blocks. */
export function checkWritten({ name, type }: Variable, numbers: InputNumbers | Uint8Array): void {
  const inBlocks = type.blocks !== undefined;
  const expected = inBlocks ? bytesOf(type) : sizeOf(type.shape);
  if (numbers.length !== expected || numbers instanceof Uint8Array !== inBlocks)
    throw new PrefgradError(
      `${name} is ${format(type)}, got ${numbers.length} ${numbers instanceof Uint8Array ? 'bytes' : 'numbers'}`,
    );
}

/** A tensor's numbers in a device's memory, or the bytes of its blocks. */
export type KeptNumbers = Float32Array | Int32Array | Uint16Array | Uint8Array;

/** Numbers as a device keeps them: those of bf16 as patterns, rounded to nearest, in all of its words. */
export function encode<N extends ArrayLike<number>>(type: TensorType, numbers: N): N | Uint16Array {
  if (type.dtype !== 'bf16') return numbers;
  const patterns = new Uint16Array(bytesOf(type) / 2);
  for (let i = 0; i < numbers.length; i++) patterns[i] = toBfloat16(numbers[i]);
  return patterns;
}

/** The first `n` numbers of what a device keeps, as a copy. */
export const decode = ({ dtype }: TensorType, kept: KeptNumbers, n: number): Float32Array =>
  dtype === 'bf16' && kept instanceof Uint16Array
    ? bfloat16ToFloat32(kept.subarray(0, n))
    : Float32Array.from(kept.subarray(0, n));

/** True rows of each count, as the inputs of a run give them. Errors name the input. */
export function countsOf(
  program: Program,
  inputs: Readonly<Record<string, InputNumbers>>,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of Object.keys(inputs))
    if (!(name in program.inputs)) throw new PrefgradError(`${program.name} has no input ${name}`);
  for (const [name, { type }] of Object.entries(program.inputs)) {
    const length = inputs[name]?.length;
    if (length === undefined) throw new PrefgradError(`${program.name}: input ${name} is missing`);
    const row = sizeOf(type.shape.slice(1));
    const count = length / row;
    if (type.rows === undefined ? length !== sizeOf(type.shape) : !fits(count, type))
      throw new PrefgradError(
        `${program.name}: input ${name} has ${length} numbers, expected ${format(type)}`,
      );
    if (type.rows === undefined) continue;
    const known = counts.get(type.rows) ?? count;
    if (known !== count)
      throw new PrefgradError(
        `${program.name}: input ${name} has ${count} ${type.rows}, another input has ${known}`,
      );
    counts.set(type.rows, count);
  }
  return counts;
}

const fits = (count: number, type: TensorType): boolean =>
  Number.isInteger(count) && count <= (type.shape[0] ?? 0);
