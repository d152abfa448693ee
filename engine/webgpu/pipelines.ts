import { PrefgradError } from '../errors.ts';
import type { Capabilities } from './capabilities.ts';
import type { Dispatch, Region } from './dispatch.ts';
import { COUNT_BYTES } from './dispatch.ts';
import { COMPUTE_STAGE } from './memory.ts';
import type { Bindings, ShaderFile } from './shaders.ts';
import { declarationsOf, shaderSource } from './shaders.ts';

/** Where a region lies on the device. */
export interface Bound {
  readonly buffer: GPUBuffer;
  readonly offset: number;
}

/** One operand's place in a bind group. */
interface Entry {
  readonly binding: number;
  readonly writable: boolean;
  readonly region: Region;
  readonly stride: number;
}

/** A dispatch's pipeline, and what is bound to it. Which operands share a binding is part of the pipeline. */
export interface Shape extends Bindings {
  readonly entries: readonly Entry[];
  /** Equal for dispatches that can use one pipeline. */
  readonly key: string;
}

/** How a dispatch's operands are bound, given which buffer each lies in. */
export function shapeOf(dispatch: Dispatch, bufferOf: (region: Region) => unknown): Shape {
  const { shader, entry, constants } = dispatch;
  const declared = declarationsOf(shader);
  const written = Object.entries(dispatch.writes);
  const operands = [
    ...written,
    ...Object.entries(dispatch.reads).filter(([name]) => !(name in dispatch.writes)),
  ];
  // A buffer that is written somewhere must be bound for writing everywhere.
  const writtenBuffers = new Set(
    operands.flatMap(([name, region]) =>
      name in dispatch.writes || declared.get(name)?.written === true ? [bufferOf(region)] : [],
    ),
  );
  const aliases: Record<string, string> = {};
  const writable = new Set<string>();
  const entries: (Entry & { name: string })[] = [];
  for (const [name, region] of operands) {
    const declaration = declared.get(name);
    if (declaration === undefined) throw new PrefgradError(`shaders/${shader}.wgsl does not declare ${name}`);
    const buffer = bufferOf(region);
    const same = entries.find(
      (e) =>
        bufferOf(e.region) === buffer && e.region.home === region.home && e.region.offset === region.offset,
    );
    if (same) {
      aliases[name] = same.name;
      continue;
    }
    if (writtenBuffers.has(buffer)) writable.add(name);
    const { binding, stride } = declaration;
    entries.push({ binding, stride, name, region, writable: writable.has(name) });
  }
  const alike = Object.entries(aliases).map(([name, other]) => `${name}=${other}`);
  // An optional operand that this dispatch lacks is named in branches that its constants rule out; it must be bound.
  for (const [name, { type, written: stored }] of declared) {
    if (name in aliases || entries.some((e) => e.name === name)) continue;
    const stand = entries.find((e) => declared.get(e.name)?.type === type && (e.writable || !stored));
    if (stand) aliases[name] = stand.name;
  }
  const bindings = entries.map((e) => `${e.name}${e.writable ? '+' : ''}`).join();
  return {
    entries,
    aliases,
    writable,
    key: `${shader} ${entry} ${JSON.stringify(constants)} ${bindings} ${alike.join()}`,
  };
}

/** Pipelines by shape, each compiled once; and the bind groups made for them. */
export class Pipelines {
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(
    private readonly device: GPUDevice,
    private readonly capabilities: Capabilities,
  ) {}

  /** Compiled in parallel with the others that are asked for. Errors: the compiler's message, with the file's name. */
  get(dispatch: Dispatch, shape: Shape): Promise<GPUComputePipeline> {
    const known = this.#pipelines.get(shape.key);
    if (known) return known;
    const pipeline = this.#compile(dispatch, shape);
    this.#pipelines.set(shape.key, pipeline);
    return pipeline;
  }

  async #compile({ shader, entry, constants }: Dispatch, shape: Shape): Promise<GPUComputePipeline> {
    this.device.pushErrorScope('validation');
    const module = this.#module(shader, shape);
    const layout = this.device.createPipelineLayout({ bindGroupLayouts: [this.#layout(shape)] });
    const invalid = this.device.popErrorScope();
    const label = `${shader}.${entry}`;
    const compute = { module, entryPoint: entry, constants };
    const failed = (message: string): never => {
      throw new PrefgradError(`shaders/${shader}.wgsl, ${entry}, does not compile on this GPU: ${message}`);
    };
    try {
      return await this.device.createComputePipelineAsync({ label, layout, compute });
    } catch (error) {
      return failed((await invalid)?.message ?? (error instanceof Error ? error.message : String(error)));
    }
  }

  bindGroup(shape: Shape, counts: GPUBuffer, place: (region: Region) => Bound): GPUBindGroup {
    return this.device.createBindGroup({
      layout: this.#layout(shape),
      entries: [
        { binding: 0, resource: { buffer: counts, size: COUNT_BYTES } },
        ...shape.entries.map(({ binding, region, stride }) => {
          const { buffer, offset } = place(region);
          // Storage is aligned, so whole vectors never reach into another tensor.
          const size = Math.max(1, Math.ceil(region.bytes / stride)) * stride;
          return { binding, resource: { buffer, offset, size } };
        }),
      ],
    });
  }

  #module(shader: ShaderFile, shape: Shape): GPUShaderModule {
    const code = shaderSource(shader, shape, this.capabilities);
    const module = this.#modules.get(code) ?? this.device.createShaderModule({ label: shader, code });
    this.#modules.set(code, module);
    return module;
  }

  #layout({ entries }: Shape): GPUBindGroupLayout {
    const key = entries.map((e) => `${e.binding}${e.writable ? '+' : ''}`).join();
    const layout =
      this.#layouts.get(key) ??
      this.device.createBindGroupLayout({
        entries: [
          { binding: 0, visibility: COMPUTE_STAGE, buffer: { type: 'uniform' } },
          ...entries.map(({ binding, writable }) => ({
            binding,
            visibility: COMPUTE_STAGE,
            buffer: { type: writable ? ('storage' as const) : ('read-only-storage' as const) },
          })),
        ],
      });
    this.#layouts.set(key, layout);
    return layout;
  }
}
