import type { Device, Executable, MemoryUse } from '../backend.ts';
import type { Program } from '../compile.ts';
import { variablesOf } from '../compile.ts';
import { PrefgradError } from '../errors.ts';
import type { Variable } from '../graph.ts';
import { bytesOf } from '../shape.ts';
import type { Capabilities } from './capabilities.ts';
import type { Region } from './dispatch.ts';
import { COUNT_BYTES, align } from './dispatch.ts';
import type { Linked } from './link.ts';
import { link, planFor } from './link.ts';
import { shapeOf } from './pipelines.ts';

/** What a program asks of a GPU. */
export interface ProgramTrace {
  readonly name: string;
  /** In one command encoder and one submit. */
  readonly dispatches: readonly Linked[];
  /** A key for each dispatch; equal ones share a pipeline. */
  readonly pipelines: readonly string[];
  /** Bytes of intermediate tensors and inputs. */
  readonly arenaBytes: number;
}

/** All dispatches of one entry of a shader for one op. Bytes are of whole operands, each counted once a dispatch. */
export interface DispatchClass {
  readonly op: string;
  readonly shader: string;
  readonly dispatches: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Multiplications and additions of matrix products and attention, at capacity. */
  readonly flops: number;
}

/** A device without a GPU: it plans and links programs, so that what they cost can be counted, and runs nothing. */
export class TraceDevice implements Device {
  readonly kind = 'webgpu';
  readonly lag = 0;
  readonly blocks = [];
  readonly description = 'webgpu, traced';
  readonly traces: ProgramTrace[] = [];
  readonly #weights = new Set<Variable>();
  readonly #variables = new Set<Variable>();

  constructor(private readonly capabilities: Capabilities = { subgroups: 32, products: 'f32' }) {}

  get memory(): MemoryUse {
    let variables = 0;
    for (const { type } of this.#variables) variables += align(bytesOf(type));
    const arena = Math.max(0, ...this.traces.map((t) => t.arenaBytes));
    return { variables, arena, total: variables + arena };
  }

  write(variable: Variable): void {
    this.#weights.add(variable);
    this.#variables.add(variable);
  }

  read(): Promise<never> {
    return Promise.reject(new PrefgradError('a traced device has no numbers'));
  }

  free(variable: Variable): void {
    this.#weights.delete(variable);
    this.#variables.delete(variable);
  }

  load(program: Program): Promise<Executable> {
    const plan = planFor(program);
    for (const variable of variablesOf(program)) this.#variables.add(variable);
    const dispatches = link(plan, this.capabilities);
    const pipelines = dispatches.map((d) => shapeOf(d, (region) => this.#bufferOf(region)).key);
    const arenaBytes = plan.arenaBytes + plan.inputBytes + COUNT_BYTES;
    this.traces.push({ name: program.name, dispatches, pipelines, arenaBytes });
    return Promise.resolve({ program, arenaBytes, run: () => this.read(), dispose: () => {} });
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  /** As on a real device: weights lie apart from what starts at zeros. */
  #bufferOf({ home }: Region): string {
    if (typeof home === 'string') return home;
    return this.#weights.has(home) ? 'weights' : 'state';
  }
}

/** Sums over the dispatches of each op's shader entry, in the order in which they first occur. */
export function classesOf(dispatches: readonly Linked[]): DispatchClass[] {
  const classes = new Map<string, DispatchClass>();
  const bytes = (regions: Linked['reads']) => Object.values(regions).reduce((n, r) => n + r.bytes, 0);
  for (const { op, shader, entry, reads, writes, flops = 0 } of dispatches) {
    const key = `${op} ${shader}.${entry}`;
    const before = classes.get(key);
    classes.set(key, {
      ...{ op, shader: `${shader}.${entry}` },
      dispatches: (before?.dispatches ?? 0) + 1,
      bytesRead: (before?.bytesRead ?? 0) + bytes(reads),
      bytesWritten: (before?.bytesWritten ?? 0) + bytes(writes),
      flops: (before?.flops ?? 0) + flops,
    });
  }
  return [...classes.values()];
}
