import { decode } from '../backend.ts';
import { PrefgradError } from '../errors.ts';
import type { Span } from '../freeList.ts';
import { FreeList } from '../freeList.ts';
import type { TensorType } from '../shape.ts';
import { arrayOf } from '../shape.ts';
import { align } from './dispatch.ts';
import type { Bound } from './pipelines.ts';

/** GPUBufferUsage, GPUMapMode.READ and GPUShaderStage.COMPUTE, which Node has no globals for. */
export const USAGE = {
  ...{ mapRead: 1, copyFrom: 4, copyTo: 8, uniform: 64, storage: 128, queryResolve: 512 },
} as const;
export const MAP_READ = 1;
export const COMPUTE_STAGE = 4;
const STORAGE = USAGE.storage | USAGE.copyFrom | USAGE.copyTo;
const [FIRST_SLAB, LARGEST_SLAB] = [4 << 20, 256 << 20];

const mib = (n: number): string => `${Math.ceil(n / 2 ** 20)} MiB`;

/** A buffer for storage; errors: more than the adapter allows, with the numbers. */
export function storageBuffer(device: GPUDevice, bytes: number, what: string): GPUBuffer {
  if (bytes > device.limits.maxBufferSize)
    throw new PrefgradError(
      `${what} needs ${mib(bytes)} in one piece, and this GPU's buffers end at ${mib(device.limits.maxBufferSize)} (maxBufferSize); use device wasm, or a smaller model or batch`,
    );
  return device.createBuffer({ label: what, size: bytes, usage: STORAGE });
}

/** `n` numbers of a tensor, from its bytes. */
export function numbersIn(bytes: ArrayBuffer, at: number, type: TensorType, n: number): Float32Array {
  const numbers = new (arrayOf(type))(bytes, at, n);
  return numbers instanceof Float32Array ? numbers : decode(type, numbers, n);
}

interface Slab {
  readonly buffer: GPUBuffer;
  readonly free: FreeList;
  /** Where the part begins that has never been used, and holds zeros. */
  untouched: number;
}

export interface Slot extends Bound, Span {
  readonly slab: Slab;
  readonly pool: Slabs;
  /** Whether it holds zeros. */
  readonly zeros: boolean;
}

/** Memory of variables: a few large buffers, each half as large as all before it. */
export class Slabs {
  readonly #slabs: Slab[] = [];
  #used = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly label: string,
  ) {}

  get used(): number {
    return this.#used;
  }

  allocate(bytes: number, what: string): Slot {
    const size = align(Math.max(bytes, 4));
    const limit = this.device.limits.maxStorageBufferBindingSize;
    if (size > limit)
      throw new PrefgradError(
        `${what} has ${mib(bytes)}, and this GPU binds at most ${mib(limit)} (maxStorageBufferBindingSize); use device wasm`,
      );
    for (const slab of this.#slabs) {
      const span = slab.free.take(size);
      if (span) return this.#slot(slab, span);
    }
    const grown = Math.min(LARGEST_SLAB, Math.max(FIRST_SLAB, align(this.#used / 2)));
    const slab = {
      buffer: storageBuffer(this.device, Math.max(size, grown), this.label),
      free: new FreeList(),
      untouched: 0,
    };
    slab.free.give({ address: 0, bytes: slab.buffer.size });
    this.#slabs.push(slab);
    const span = slab.free.take(size);
    if (span === undefined) throw new Error('a new slab has no room');
    return this.#slot(slab, span);
  }

  release(slot: Slot): void {
    const { slab, address, bytes } = slot;
    slab.free.give({ address, bytes });
    this.#used -= bytes;
  }

  #slot(slab: Slab, span: Span): Slot {
    this.#used += span.bytes;
    const zeros = span.address >= slab.untouched;
    slab.untouched = Math.max(slab.untouched, span.address + span.bytes);
    return { ...span, slab, pool: this, zeros, buffer: slab.buffer, offset: span.address };
  }
}

/** Buffers that results are copied to and mapped from, used again and again. */
export class Staging {
  readonly #idle: GPUBuffer[] = [];

  constructor(private readonly device: GPUDevice) {}

  take(bytes: number): GPUBuffer {
    const at = this.#idle.findIndex((b) => b.size >= bytes && b.size <= 4 * bytes + 4096);
    const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
    return (
      found ??
      this.device.createBuffer({ label: 'staging', size: align(bytes), usage: USAGE.mapRead | USAGE.copyTo })
    );
  }

  give(buffer: GPUBuffer): void {
    this.#idle.push(buffer);
  }
}
