import { MAP_READ, USAGE } from './memory.ts';

const BYTES = 16;

/** The time of one compute pass on the GPU's own clock. Made for one run, and freed when it has been read. */
export class PassTimer {
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(device: GPUDevice) {
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 });
    this.#resolved = device.createBuffer({ size: BYTES, usage: USAGE.queryResolve | USAGE.copyFrom });
    this.#staging = device.createBuffer({ size: BYTES, usage: USAGE.mapRead | USAGE.copyTo });
  }

  get writes(): GPUComputePassTimestampWrites {
    return { querySet: this.#queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  /** After the pass, before the encoder is finished. */
  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, BYTES);
  }

  /** Milliseconds between the pass's beginning and end. */
  async read(): Promise<number> {
    await this.#staging.mapAsync(MAP_READ);
    const [begin = 0n, end = 0n] = new BigUint64Array(this.#staging.getMappedRange());
    const ms = Number(end - begin) / 1e6;
    for (const resource of [this.#queries, this.#resolved, this.#staging]) resource.destroy();
    return ms;
  }
}
