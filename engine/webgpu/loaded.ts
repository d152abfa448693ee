import type { InputNumbers, Numbers } from '../backend.ts';
import { encode } from '../backend.ts';
import type { Plan } from '../plan.ts';
import type { TensorType } from '../shape.ts';
import { arrayOf, bytesOf, sizeOf, trueShape } from '../shape.ts';
import type { CountRows, Region } from './dispatch.ts';
import { COUNT_BYTES, MOST_COUNTS } from './dispatch.ts';
import type { Linked } from './link.ts';
import { countNames, placeRegion } from './link.ts';
import { USAGE, numbersIn } from './memory.ts';
import type { Bound, Pipelines, Shape } from './pipelines.ts';

interface Output {
  readonly name: string;
  readonly type: TensorType;
  readonly region: Region;
  /** Offset among all outputs, in bytes. */
  readonly at: number;
}

/** Where regions lie, but for a program's own inputs. */
export type PlaceRegion = (region: Region) => Bound;

/** A program with its pipelines, ready to be encoded again and again. */
export class LoadedProgram {
  /** True counts, then the inputs: what one write brings. */
  readonly #step: GPUBuffer;
  readonly #host: ArrayBuffer;
  readonly #countNames: readonly string[];
  readonly #outputs: readonly Output[];
  /** Bytes of all outputs. */
  readonly outputBytes: number;
  #groups: readonly GPUBindGroup[] | undefined;

  constructor(
    private readonly device: GPUDevice,
    readonly plan: Plan,
    private readonly dispatches: readonly Linked[],
    private readonly shapes: readonly Shape[],
    private readonly pipelines: readonly GPUComputePipeline[],
  ) {
    const { program } = plan;
    this.#countNames = countNames(program);
    const size = COUNT_BYTES + plan.inputBytes;
    const usage = USAGE.uniform | USAGE.storage | USAGE.copyTo | USAGE.copyFrom;
    this.#step = device.createBuffer({ label: `${program.name} inputs`, size, usage });
    this.#host = new ArrayBuffer(size);
    const outputs: Output[] = [];
    let at = 0;
    for (const [name, { type }] of Object.entries(program.outputs)) {
      const place = plan.outputs[name];
      if (place) outputs.push({ name, type, region: placeRegion(place, bytesOf(type)), at });
      at += bytesOf(type);
    }
    this.#outputs = outputs;
    this.outputBytes = at;
  }

  get stepBytes(): number {
    return this.#host.byteLength;
  }

  /** Forgets where things lie: the arena has moved. */
  unbind(): void {
    this.#groups = undefined;
  }

  dispose(): void {
    this.#step.destroy();
  }

  /** Brings a run's counts and inputs to the device. */
  writeInputs(inputs: Readonly<Record<string, InputNumbers>>, counts: ReadonlyMap<string, number>): void {
    const { program, inputs: offsets } = this.plan;
    const host = this.#host;
    new Uint32Array(host, 0, MOST_COUNTS).set(this.#countNames.map((name) => counts.get(name) ?? 0));
    for (const [name, { type }] of Object.entries(program.inputs)) {
      new (arrayOf(type))(host, COUNT_BYTES + (offsets[name] ?? 0)).set(encode(type, inputs[name] ?? []));
    }
    this.device.queue.writeBuffer(this.#step, 0, host);
  }

  /** Adds all dispatches of a run to a pass. */
  encode(
    pass: GPUComputePassEncoder,
    counts: ReadonlyMap<string, number>,
    made: Pipelines,
    place: PlaceRegion,
  ): void {
    const groups = (this.#groups ??= this.shapes.map((shape) =>
      made.bindGroup(shape, this.#step, (region) => this.#place(region, place)),
    ));
    const rows: CountRows = (type) => counts.get(type.rows ?? '') ?? type.shape[0] ?? 1;
    let current: GPUComputePipeline | undefined;
    this.dispatches.forEach((dispatch, i) => {
      const [x, y = 1, z = 1] = dispatch.workgroups(rows);
      const [pipeline, group] = [this.pipelines[i], groups[i]];
      if (x * y * z === 0 || !pipeline || !group) return;
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
    });
  }

  /** Copies the outputs to a staging buffer. */
  copyOutputs(encoder: GPUCommandEncoder, staging: GPUBuffer, place: PlaceRegion): void {
    for (const { region, at } of this.#outputs) {
      const { buffer, offset } = this.#place(region, place);
      encoder.copyBufferToBuffer(buffer, offset, staging, at, region.bytes);
    }
  }

  /** The outputs' true rows, from their bytes. */
  outputsIn(bytes: ArrayBuffer, counts: ReadonlyMap<string, number>): Record<string, Numbers> {
    return Object.fromEntries(
      this.#outputs.map(({ name, type, at }) => [
        name,
        numbersIn(bytes, at, type, sizeOf(trueShape(type, counts))),
      ]),
    );
  }

  #place(region: Region, place: PlaceRegion): Bound {
    if (region.home !== 'inputs') return place(region);
    return { buffer: this.#step, offset: COUNT_BYTES + region.offset };
  }
}
