import type { Device, Executable, InputNumbers, MemoryUse, Numbers } from '../backend.ts';
import { countsOf } from '../backend.ts';
import type { Program } from '../compile.ts';
import { variablesOf } from '../compile.ts';
import { DeviceLostError, PrefgradError } from '../errors.ts';
import type { Variable } from '../graph.ts';
import type { Plan } from '../plan.ts';
import { bytesOf, format, sizeOf, trueShape } from '../shape.ts';
import type { Capabilities, CountRows, Region } from './dispatch.ts';
import { ALIGNMENT, COUNT_BYTES, MOST_COUNTS, align } from './dispatch.ts';
import { adapterName, requestAdapter, requestDevice } from './gpu.ts';
import type { Linked } from './link.ts';
import { countNames, link, placeRegion, planFor } from './link.ts';
import type { Slot } from './memory.ts';
import { Slabs, Staging, USAGE, storageBuffer } from './memory.ts';
import type { Bound, Shape } from './pipelines.ts';
import { Pipelines, shapeOf } from './pipelines.ts';

export interface WebGpuOptions {
  /** Where adapters come from; the runtime's own by default. */
  readonly gpu?: GPU | undefined;
}

/** A loaded program. */
interface Loaded {
  readonly plan: Plan;
  readonly dispatches: readonly Linked[];
  readonly shapes: readonly Shape[];
  readonly pipelines: readonly GPUComputePipeline[];
  /** The counts, then the inputs: what one write brings. */
  readonly step: GPUBuffer;
  readonly host: ArrayBuffer;
  readonly outputs: readonly Output[];
  readonly outputBytes: number;
  /** Made anew when the arena has moved. */
  groups: readonly GPUBindGroup[] | undefined;
}

interface Output {
  readonly name: string;
  readonly region: Region;
  /** Offset in the staging buffer. */
  readonly at: number;
}

const READ = 1;

/** Runs plans as one command buffer of compute dispatches a run. */
export class WebGpuDevice implements Device {
  readonly kind = 'webgpu';
  readonly lag = 2;
  readonly #variables = new Map<Variable, Slot>();
  readonly #loaded = new Set<Loaded>();
  readonly #pipelines: Pipelines;
  readonly #staging: Staging;
  /** Variables that came with numbers, as a model's weights; and those that start at zeros. Most dispatches write to one of them alone. */
  readonly #pools: { readonly written: Slabs; readonly zeroed: Slabs };
  /** Intermediate tensors of whichever program runs: one buffer, or several where one cannot be large enough. */
  #arena: readonly GPUBuffer[] = [];
  #failure: string | undefined;
  #lost: string | undefined;
  #disposed = false;

  private constructor(
    private readonly gpu: GPUDevice,
    readonly description: string,
    readonly capabilities: Capabilities,
  ) {
    this.#pipelines = new Pipelines(gpu);
    this.#staging = new Staging(gpu);
    this.#pools = { written: new Slabs(gpu, 'weights'), zeroed: new Slabs(gpu, 'state') };
    gpu.addEventListener('uncapturederror', (event) => (this.#failure ??= event.error.message));
    void gpu.lost.then(({ reason, message }) => {
      if (!this.#disposed)
        this.#failure = `the GPU device was lost (${reason}${message ? `: ${message}` : ''})`;
    });
  }

  /** Errors: no WebGPU here, no adapter, no device; each says what would help. */
  static async create({ gpu }: WebGpuOptions = {}): Promise<WebGpuDevice> {
    const adapter = await requestAdapter(gpu);
    if (typeof adapter === 'string') throw new PrefgradError(`device webgpu: ${adapter}`);
    const device = await requestDevice(adapter);
    const capabilities: Capabilities = {
      workgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
      subgroups: device.features.has('subgroups'),
      products: 'f32',
    };
    return new WebGpuDevice(device, `webgpu: ${adapterName(adapter)}`, capabilities);
  }

  get memory(): MemoryUse {
    const variables = this.#pools.written.used + this.#pools.zeroed.used;
    let arena = this.#arenaBytes;
    for (const { step } of this.#loaded) arena += step.size;
    return { variables, arena, total: variables + arena };
  }

  /** Compiled pipelines. */
  get pipelineCount(): number {
    return this.#pipelines.count;
  }

  write(variable: Variable, numbers: InputNumbers): void {
    if (numbers.length !== sizeOf(variable.type.shape))
      throw new PrefgradError(`${variable.name} is ${format(variable.type)}, got ${numbers.length} numbers`);
    this.#check();
    const { buffer, offset } = this.#slotOf(variable, this.#pools.written);
    const View = variable.type.dtype === 'i32' ? Int32Array : Float32Array;
    this.gpu.queue.writeBuffer(buffer, offset, View.from(numbers));
  }

  async read(variable: Variable): Promise<Numbers> {
    const slot = this.#variables.get(variable);
    if (slot === undefined)
      throw new PrefgradError(`${variable.name} has no value on this device; write it first`);
    this.#check();
    const bytes = bytesOf(variable.type);
    const staging = this.#staging.take(bytes);
    const encoder = this.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(slot.buffer, slot.offset, staging, 0, bytes);
    this.gpu.queue.submit([encoder.finish()]);
    return new Float32Array(await this.#map(staging, bytes));
  }

  free(variable: Variable): void {
    const slot = this.#variables.get(variable);
    if (slot === undefined) return;
    slot.pool.release(slot);
    this.#variables.delete(variable);
  }

  async load(program: Program): Promise<Executable> {
    this.#check();
    const plan = planFor(program, this.capabilities, this.#blockBytes);
    this.#checkSizes(plan);
    const dispatches = link(plan, this.capabilities);
    for (const variable of variablesOf(program)) this.#slotOf(variable, this.#pools.zeroed);
    this.#reserveArena(plan.arenaBytes);
    const shapes = dispatches.map((d) => shapeOf(d, (region) => this.#bufferKey(region)));
    const pipelines = await Promise.all(dispatches.map((d, i) => this.#pipelines.get(d, at(shapes, i))));
    const stepBytes = COUNT_BYTES + plan.inputBytes;
    const outputs: Output[] = [];
    let outputBytes = 0;
    for (const [name, { type }] of Object.entries(program.outputs)) {
      const place = plan.outputs[name];
      if (place) outputs.push({ name, region: placeRegion(place, bytesOf(type)), at: outputBytes });
      outputBytes += bytesOf(type);
    }
    const loaded: Loaded = {
      ...{ plan, dispatches, shapes, pipelines, outputs, outputBytes },
      step: this.gpu.createBuffer({
        label: `${program.name} inputs`,
        size: stepBytes,
        usage: USAGE.uniform | USAGE.storage | USAGE.copyTo | USAGE.copyFrom,
      }),
      host: new ArrayBuffer(stepBytes),
      groups: undefined,
    };
    this.#loaded.add(loaded);
    return {
      program,
      arenaBytes: plan.arenaBytes + stepBytes,
      run: (inputs) => this.#run(loaded, inputs),
      dispose: () => {
        this.#loaded.delete(loaded);
        loaded.step.destroy();
      },
    };
  }

  dispose(): Promise<void> {
    this.#disposed = true;
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
    loaded: Loaded,
    inputs: Readonly<Record<string, InputNumbers>>,
  ): Promise<Record<string, Numbers>> {
    const { plan, dispatches, pipelines, host, step, outputs, outputBytes } = loaded;
    const { program } = plan;
    const counts = countsOf(program, inputs);
    this.#check();
    this.#reserveArena(plan.arenaBytes);
    this.#fillStep(loaded, inputs, counts);
    this.gpu.queue.writeBuffer(step, 0, host);
    const groups = (loaded.groups ??= this.#bind(loaded));
    const rows: CountRows = (type) => counts.get(type.rows ?? '') ?? type.shape[0] ?? 1;

    const encoder = this.gpu.createCommandEncoder({ label: program.name });
    const pass = encoder.beginComputePass();
    let current: GPUComputePipeline | undefined;
    dispatches.forEach((dispatch, i) => {
      const [x, y = 1, z = 1] = dispatch.workgroups(rows);
      if (x * y * z === 0) return;
      const pipeline = at(pipelines, i);
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, at(groups, i));
      pass.dispatchWorkgroups(x, y, z);
    });
    pass.end();
    if (outputBytes === 0) {
      this.gpu.queue.submit([encoder.finish()]);
      return {};
    }
    const staging = this.#staging.take(outputBytes);
    for (const { region, at: to } of outputs) {
      const { buffer, offset } = this.#place(loaded, region);
      encoder.copyBufferToBuffer(buffer, offset, staging, to, region.bytes);
    }
    this.gpu.queue.submit([encoder.finish()]);
    const bytes = await this.#map(staging, outputBytes);
    return Object.fromEntries(
      outputs.map(({ name, at: from }) => {
        const type = program.outputs[name]?.type;
        const n = type ? sizeOf(trueShape(type, counts)) : 0;
        return [name, new Float32Array(bytes, from, n)];
      }),
    );
  }

  /** Writes true counts and inputs into the host's copy of the step's buffer. */
  #fillStep(
    { plan, host }: Loaded,
    inputs: Readonly<Record<string, InputNumbers>>,
    counts: Map<string, number>,
  ): void {
    new Uint32Array(host, 0, MOST_COUNTS).set(countNames(plan.program).map((name) => counts.get(name) ?? 0));
    for (const [name, { type }] of Object.entries(plan.program.inputs)) {
      const View = type.dtype === 'i32' ? Int32Array : Float32Array;
      new View(host, COUNT_BYTES + (plan.inputs[name] ?? 0)).set(inputs[name] ?? []);
    }
  }

  /** Maps a staging buffer, copies it, and gives it back. */
  async #map(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    try {
      await staging.mapAsync(READ, 0, align(bytes));
    } catch (error) {
      // What went wrong is told by an event that comes after.
      await new Promise((resolve) => setTimeout(resolve, 10));
      this.#check();
      throw error;
    }
    const copy = staging.getMappedRange(0, align(bytes)).slice(0, bytes);
    staging.unmap();
    this.#staging.give(staging);
    this.#check();
    return copy;
  }

  #bind(loaded: Loaded): GPUBindGroup[] {
    return loaded.shapes.map((shape) =>
      this.#pipelines.bindGroup(shape, loaded.step, (region) => this.#place(loaded, region)),
    );
  }

  #place({ step }: Loaded, { home, offset }: Region): Bound {
    if (home === 'inputs') return { buffer: step, offset: COUNT_BYTES + offset };
    if (home !== 'arena') {
      const slot = this.#slotOf(home, this.#pools.zeroed);
      return { buffer: slot.buffer, offset: slot.offset + offset };
    }
    return {
      buffer: at(this.#arena, Math.floor(offset / this.#blockBytes)),
      offset: offset % this.#blockBytes,
    };
  }

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
    for (const loaded of this.#loaded) loaded.groups = undefined;
    for (const buffer of this.#arena) buffer.destroy();
    this.#arena = Array.from({ length: Math.ceil(bytes / this.#blockBytes) }, (_, i) =>
      storageBuffer(
        this.gpu,
        Math.min(this.#blockBytes, bytes - i * this.#blockBytes),
        'intermediate tensors',
      ),
    );
  }

  /** Errors that the GPU reported since the last call. */
  #check(): void {
    if (this.#lost !== undefined) throw new DeviceLostError(`${this.description}: ${this.#lost}`);
    if (this.#failure !== undefined) throw new PrefgradError(`${this.description}: ${this.#failure}`);
    if (this.#disposed) throw new PrefgradError(`${this.description}: the device was disposed`);
  }
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is nothing at ${index}`);
  return found;
}
