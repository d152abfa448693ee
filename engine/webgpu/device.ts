import type { Device, Executable, InputNumbers, MemoryUse, Numbers } from '../backend.ts';
import { checkWritten, countsOf, encode } from '../backend.ts';
import type { Program } from '../compile.ts';
import { variablesOf } from '../compile.ts';
import { PrefgradError } from '../errors.ts';
import type { Variable } from '../graph.ts';
import type { Plan } from '../plan.ts';
import { arrayOf, bytesOf, format, sizeOf } from '../shape.ts';
import type { Capabilities, Variants } from './capabilities.ts';
import { chooseCapabilities } from './capabilities.ts';
import type { Region } from './dispatch.ts';
import { ALIGNMENT, align } from './dispatch.ts';
import { adapterName, requestAdapter, requestDevice } from './gpu.ts';
import { Health } from './health.ts';
import { link, planFor } from './link.ts';
import { LoadedProgram } from './loaded.ts';
import type { Slot } from './memory.ts';
import { MAP_READ, Slabs, Staging, numbersIn, storageBuffer } from './memory.ts';
import type { Bound } from './pipelines.ts';
import { Pipelines, shapeOf } from './pipelines.ts';
import { PassTimer } from './timestamps.ts';
import { attempt } from './trials.ts';

export interface WebGpuOptions extends Variants {
  /** Where adapters come from; the runtime's own by default. */
  readonly gpu?: GPU | undefined;
  /** Is told how many milliseconds each run took on the GPU, where it has timestamps. For measurements. */
  readonly onGpuTime?: ((program: string, ms: number) => void) | undefined;
}

/** Runs plans as one command buffer of compute dispatches a run. */
export class WebGpuDevice implements Device {
  readonly kind = 'webgpu';
  readonly lag = 2;
  /** None: blocks are unpacked before they come here. */
  readonly blocks = [];
  readonly #variables = new Map<Variable, Slot>();
  readonly #loaded = new Set<LoadedProgram>();
  readonly #pipelines: Pipelines;
  readonly #staging: Staging;
  /** Variables that came with numbers, as a model's weights; and those that start at zeros. Most dispatches write to one of them alone. */
  readonly #pools: { readonly written: Slabs; readonly zeroed: Slabs };
  /** Intermediate tensors of whichever program runs: one buffer, or several where one cannot be large enough. */
  #arena: readonly GPUBuffer[] = [];
  readonly #health: Health;

  private constructor(
    private readonly gpu: GPUDevice,
    readonly description: string,
    readonly capabilities: Capabilities,
    private readonly onGpuTime: WebGpuOptions['onGpuTime'],
  ) {
    this.#health = new Health(gpu, description);
    this.#pipelines = new Pipelines(gpu, capabilities);
    this.#staging = new Staging(gpu);
    this.#pools = { written: new Slabs(gpu, 'weights'), zeroed: new Slabs(gpu, 'state') };
  }

  /** Errors: no WebGPU here, no adapter, no device; each says what would help. */
  static async create(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
    const adapter = await WebGpuDevice.#adapter(options);
    const { capabilities, notes } = await chooseCapabilities(adapter, options, async (subject, trial) =>
      attempt(async () => WebGpuDevice.#open(await WebGpuDevice.#adapter(options), trial, [], {}), subject),
    );
    return WebGpuDevice.#open(adapter, capabilities, notes, options);
  }

  static async #adapter({ gpu }: WebGpuOptions): Promise<GPUAdapter> {
    const adapter = await requestAdapter(gpu);
    if (typeof adapter === 'string') throw new PrefgradError(`device webgpu: ${adapter}`);
    return adapter;
  }

  static async #open(
    adapter: GPUAdapter,
    capabilities: Capabilities,
    notes: readonly string[],
    { onGpuTime }: WebGpuOptions,
  ): Promise<WebGpuDevice> {
    const device = await requestDevice(adapter, capabilities);
    const timed = device.features.has('timestamp-query') ? onGpuTime : undefined;
    const description = [`webgpu: ${adapterName(adapter)}`, ...notes].join('; ');
    return new WebGpuDevice(device, description, capabilities, timed);
  }

  get memory(): MemoryUse {
    const variables = this.#pools.written.used + this.#pools.zeroed.used;
    let arena = this.#arenaBytes;
    for (const { stepBytes } of this.#loaded) arena += stepBytes;
    return { variables, arena, total: variables + arena };
  }

  write(variable: Variable, numbers: InputNumbers | Uint8Array): void {
    checkWritten(variable, numbers);
    this.#health.check();
    const { buffer, offset } = this.#slotOf(variable, this.#pools.written);
    const { type } = variable;
    this.gpu.queue.writeBuffer(buffer, offset, arrayOf(type).from(encode(type, numbers)));
  }

  async read(variable: Variable): Promise<Numbers> {
    const slot = this.#variables.get(variable);
    if (slot === undefined)
      throw new PrefgradError(`${variable.name} has no value on this device; write it first`);
    this.#health.check();
    const bytes = bytesOf(variable.type);
    const staging = this.#staging.take(bytes);
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(slot.buffer, slot.offset, staging, 0, bytes);
    this.gpu.queue.submit([encoder.finish()]);
    return numbersIn(await this.#map(staging, bytes), 0, variable.type, sizeOf(variable.type.shape));
  }

  free(variable: Variable): void {
    const slot = this.#variables.get(variable);
    if (slot === undefined) return;
    slot.pool.release(slot);
    this.#variables.delete(variable);
  }

  async load(program: Program): Promise<Executable> {
    this.#health.check();
    const plan = planFor(program, this.#blockBytes);
    this.#checkSizes(plan);
    const dispatches = link(plan, this.capabilities);
    for (const variable of variablesOf(program)) this.#slotOf(variable, this.#pools.zeroed);
    this.#reserveArena(plan.arenaBytes);
    const shapes = dispatches.map((d) => shapeOf(d, (region) => this.#bufferKey(region)));
    const pipelines = await Promise.all(dispatches.map((d, i) => this.#pipelines.get(d, shapes[i])));
    const loaded = new LoadedProgram(this.gpu, plan, dispatches, shapes, pipelines);
    this.#loaded.add(loaded);
    return {
      program,
      arenaBytes: plan.arenaBytes + loaded.stepBytes,
      run: (inputs) => this.#run(loaded, inputs),
      dispose: () => {
        this.#loaded.delete(loaded);
        loaded.dispose();
      },
    };
  }

  dispose(): Promise<void> {
    this.#health.dispose();
    this.gpu.destroy();
    this.#loaded.clear();
    this.#variables.clear();
    return Promise.resolve();
  }

  /** Errors: a tensor that no binding can hold, named with its size and the adapter's limit. */
  #checkSizes({ steps, program }: Plan): void {
    const limit = this.gpu.limits.maxStorageBufferBindingSize;
    for (const { node, workspace } of steps)
      for (const [what, bytes] of [
        ...node.types.map((type) => [`a tensor ${format(type)}`, bytesOf(type)] as const),
        ['a workspace', workspace?.bytes ?? 0] as const,
      ])
        if (bytes > limit)
          throw new PrefgradError(
            `${program.name}: ${what} of ${node.op.name} has ${bytes} bytes, and ${this.description} binds at most ${limit} (maxStorageBufferBindingSize); a smaller batch or max_length, or device wasm`,
          );
  }

  /** Encodes and submits at once; resolves when the outputs have come back. */
  async #run(
    loaded: LoadedProgram,
    inputs: Readonly<Record<string, InputNumbers>>,
  ): Promise<Record<string, Numbers>> {
    const { program, arenaBytes } = loaded.plan;
    const counts = countsOf(program, inputs);
    this.#health.check();
    this.#reserveArena(arenaBytes);
    loaded.writeInputs(inputs, counts);
    const timer = this.onGpuTime && new PassTimer(this.gpu);
    const encoder = this.gpu.createCommandEncoder({ label: program.name });
    const pass = encoder.beginComputePass({ timestampWrites: timer?.writes });
    loaded.encode(pass, counts, this.#pipelines, this.#place);
    pass.end();
    timer?.resolve(encoder);
    const staging = loaded.outputBytes > 0 ? this.#staging.take(loaded.outputBytes) : undefined;
    if (staging) loaded.copyOutputs(encoder, staging, this.#place);
    this.gpu.queue.submit([encoder.finish()]);
    if (timer) this.onGpuTime?.(program.name, await timer.read());
    return staging ? loaded.outputsIn(await this.#map(staging, loaded.outputBytes), counts) : {};
  }

  /** Maps a staging buffer, copies it, and gives it back. */
  async #map(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    await staging.mapAsync(MAP_READ, 0, align(bytes)).catch((error: unknown) => this.#health.explain(error));
    const copy = staging.getMappedRange(0, align(bytes)).slice(0, bytes);
    staging.unmap();
    this.#staging.give(staging);
    this.#health.check();
    return copy;
  }

  readonly #place = ({ home, offset }: Region): Bound => {
    if (typeof home !== 'string') {
      const slot = this.#slotOf(home, this.#pools.zeroed);
      return { buffer: slot.buffer, offset: slot.offset + offset };
    }
    const buffer = this.#arena[Math.floor(offset / this.#blockBytes)];
    if (buffer === undefined) throw new Error('a plan runs beyond the arena');
    return { buffer, offset: offset % this.#blockBytes };
  };

  /** Equal for regions that lie in one buffer. */
  #bufferKey({ home, offset }: Region): unknown {
    if (home === 'inputs') return home;
    if (home === 'arena') return Math.floor(offset / this.#blockBytes);
    return this.#slotOf(home, this.#pools.zeroed).buffer;
  }

  /** A variable's memory, given and zeroed where it has none yet. */
  #slotOf(variable: Variable, pool: Slabs): Slot {
    const known = this.#variables.get(variable);
    if (known) return known;
    const slot = pool.allocate(bytesOf(variable.type), variable.name);
    this.#variables.set(variable, slot);
    if (!slot.zeros) {
      const encoder = this.gpu.createCommandEncoder();
      encoder.clearBuffer(slot.buffer, slot.offset, slot.bytes);
      this.gpu.queue.submit([encoder.finish()]);
    }
    return slot;
  }

  get #arenaBytes(): number {
    return this.#arena.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  /** Bytes of the arena's buffers; no tensor lies in two. */
  get #blockBytes(): number {
    return Math.floor(this.gpu.limits.maxBufferSize / ALIGNMENT) * ALIGNMENT;
  }

  #reserveArena(bytes: number): void {
    if (bytes <= this.#arenaBytes) return;
    for (const loaded of this.#loaded) loaded.unbind();
    for (const buffer of this.#arena) buffer.destroy();
    this.#arena = Array.from({ length: Math.ceil(bytes / this.#blockBytes) }, (_, i) =>
      storageBuffer(
        this.gpu,
        Math.min(this.#blockBytes, bytes - i * this.#blockBytes),
        'intermediate tensors',
      ),
    );
  }
}
