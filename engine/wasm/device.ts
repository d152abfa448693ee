import type { Device, Executable, InputNumbers, KeptNumbers, MemoryUse } from '../backend.ts';
import { checkWritten, countsOf, decode, encode } from '../backend.ts';
import type { BlockFormat } from '../blocks.ts';
import { blockFormats, unpackBlocks } from '../blocks.ts';
import type { Program } from '../compile.ts';
import { variablesOf } from '../compile.ts';
import { PrefgradError } from '../errors.ts';
import type { Node, Variable } from '../graph.ts';
import type { Place, Plan } from '../plan.ts';
import { makePlan } from '../plan.ts';
import type { TensorType } from '../shape.ts';
import { arrayOf, bytesOf, sizeOf, trueShape } from '../shape.ts';
import type { TileRows } from './binaries.ts';
import { chooseBinary } from './binaries.ts';
import type { Operand, Span } from './call.ts';
import type { Simd } from './features.ts';
import { canShare, coreCount } from './features.ts';
import type { Layout, Linked } from './link.ts';
import { addressOf, link, loweringOf } from './link.ts';
import { lowerings } from './lower/index.ts';
import { ALIGNMENT, Allocator, MAX_PAGES } from './memory.ts';
import type { ProfiledRun } from './profile.ts';
import { now, stampsOf, workOf } from './profile.ts';
import type { Team } from './team.ts';
import { SoloTeam, WorkerTeam } from './team.ts';

/** Turns of a waiting thread's loop before it sleeps: some tens of microseconds. */
const SPINS = 20_000;

export interface WasmOptions {
  /** Worker threads; the calling thread alone where 1, or where memory cannot be shared. Default: all cores. */
  readonly threads?: number | undefined;
  /** plain: the same bits on every machine. relaxed: fused multiply-add, faster. Default: relaxed where there is. */
  readonly simd?: Simd | 'auto' | undefined;
  /**
   * Rows of the products' register tile: 4 (plain) or 6 (relaxed) fits 16 SIMD registers, as x64 has, and 8 fits 32, as
   * ARM has. The numbers are the same to the bit. Default: the faster, found in some milliseconds.
   */
  readonly tileRows?: TileRows | 'auto' | undefined;
  /** Is told of each run with the times of its calls (Profile.add, say). */
  readonly profile?: ((run: ProfiledRun) => void) | undefined;
}

/** Bytes of inputs and intermediate tensors. */
const arenaOf = ({ inputBytes, arenaBytes }: Plan): number => inputBytes + arenaBytes;

/** A loaded program: its plan, and where its records lie once it is linked. */
interface Loaded {
  readonly id: number;
  readonly plan: Plan;
  linked: { readonly linked: Linked; readonly records: Span; readonly stamps?: Float64Array } | undefined;
}

/** Runs plans as flat lists of WebAssembly kernel calls, on one thread or several. */
export class WasmDevice implements Device {
  readonly kind = 'wasm';
  readonly lag = 0;
  readonly blocks = Object.keys(blockFormats) as readonly BlockFormat[];
  readonly #variables = new Map<Variable, Span>();
  readonly #loaded = new Set<Loaded>();
  readonly #allocator: Allocator;
  #arena: Span;
  #nextId = 0;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly simd: Simd,
    readonly tileRows: TileRows,
    private readonly memoryObject: WebAssembly.Memory,
    private readonly team: Team,
    private readonly profile: WasmOptions['profile'],
  ) {
    this.#allocator = new Allocator(memoryObject);
    this.#arena = this.#allocator.allocate(0, 'arena');
  }

  /** Compiles the kernels and starts the threads. Errors: a runtime without WebAssembly SIMD and threads. */
  static async create({
    threads = coreCount(),
    simd = 'auto',
    tileRows = 'auto',
    profile,
  }: WasmOptions = {}): Promise<WasmDevice> {
    if (!Number.isInteger(threads) || threads < 1)
      throw new PrefgradError(`threads must be a positive whole number, got ${threads}`);
    const chosen = await chooseBinary(simd, tileRows);
    const memory = new WebAssembly.Memory({ initial: 256, maximum: MAX_PAGES, shared: true });
    const module = await WebAssembly.compile(chosen.bytes);
    const several = threads > 1 && canShare();
    const team = several
      ? await WorkerTeam.start(module, memory, threads, SPINS)
      : new SoloTeam(module, memory);
    return new WasmDevice(chosen.simd, chosen.tileRows, memory, team, profile);
  }

  get description(): string {
    const { threads } = this.team;
    return `wasm: ${this.simd} SIMD, ${threads} thread${threads > 1 ? 's' : ''}`;
  }

  get threads(): number {
    return this.team.threads;
  }

  get memory(): MemoryUse {
    let variables = 0;
    for (const span of this.#variables.values()) variables += span.bytes;
    return { variables, arena: this.#arena.bytes, total: this.#allocator.used };
  }

  write(variable: Variable, numbers: InputNumbers | Uint8Array): void {
    checkWritten(variable, numbers);
    this.#view(this.#spanOf(variable), variable.type).set(encode(variable.type, numbers));
  }

  async read(variable: Variable): Promise<Float32Array> {
    const span = this.#variables.get(variable);
    if (span === undefined)
      throw new PrefgradError(`${variable.name} has no value on this device; write it first`);
    await this.#queue;
    const view = this.#view(span, variable.type);
    const { blocks } = variable.type;
    return blocks && view instanceof Uint8Array
      ? unpackBlocks(blocks, view)
      : decode(variable.type, view, sizeOf(variable.type.shape));
  }

  free(variable: Variable): void {
    const span = this.#variables.get(variable);
    if (span === undefined) return;
    this.#allocator.release(span);
    this.#variables.delete(variable);
  }

  async load(program: Program): Promise<Executable> {
    const { threads } = this.team;
    const workspace = (node: Node): number => {
      const inputs = node.inputs.map((t) => t.type);
      if (node.op.view === true) return 0;
      return loweringOf(lowerings, node).workspace?.(inputs, node.attrs, threads) ?? 0;
    };
    const plan = makePlan(program, { workspace, alignment: ALIGNMENT });
    await this.#queue;
    this.#reserveArena(plan);
    for (const variable of variablesOf(program)) this.#spanOf(variable);
    const loaded: Loaded = { id: this.#nextId++, plan, linked: undefined };
    this.#loaded.add(loaded);
    return {
      program,
      arenaBytes: arenaOf(plan),
      run: (inputs) => {
        const result = this.#queue.then(() => this.#run(loaded, inputs));
        this.#queue = result.catch(() => {});
        return result;
      },
      dispose: () => {
        this.#unlink(loaded);
        this.#loaded.delete(loaded);
      },
    };
  }

  async dispose(): Promise<void> {
    await this.team.dispose();
    this.#loaded.clear();
    this.#variables.clear();
  }

  async #run(
    loaded: Loaded,
    inputs: Readonly<Record<string, InputNumbers>>,
  ): Promise<Record<string, Float32Array>> {
    const { plan, id } = loaded;
    const { program } = plan;
    const counts = countsOf(program, inputs);
    this.#reserveArena(plan);
    for (const variable of variablesOf(program)) this.#spanOf(variable);
    const { linked, records, stamps } = (loaded.linked ??= this.#link(loaded));
    for (const [name, { type }] of Object.entries(program.inputs))
      this.#at(plan, { kind: 'input', offset: plan.inputs[name] ?? NaN }, type).set(
        encode(type, inputs[name] ?? []),
      );
    const words = new Int32Array(this.memoryObject.buffer, records.address, linked.words.length);
    for (const at of linked.recordAt) words[at] = 0;
    for (const { word, rows, times } of linked.counts) words[word] = (counts.get(rows) ?? 0) * times;
    const asked = now();
    await this.team.run(id);
    const answered = now();
    if (stamps) {
      const ints = ({ address, type }: Operand) =>
        new Int32Array(this.memoryObject.buffer, address, sizeOf(trueShape(type, counts)));
      const calls = linked.calls.map((call) => workOf(call, counts, ints));
      this.profile?.({ program: program.name, calls, threads: this.threads, stamps, asked, answered });
    }
    return Object.fromEntries(
      Object.entries(program.outputs).map(([name, { type }]) => {
        const view = this.#at(plan, plan.outputs[name], type);
        return [name, decode(type, view, sizeOf(trueShape(type, counts)))];
      }),
    );
  }

  #view(span: Span, type: TensorType): KeptNumbers {
    const array = type.blocks === undefined ? arrayOf(type) : Uint8Array;
    const length = bytesOf(type) / array.BYTES_PER_ELEMENT;
    return new array(this.memoryObject.buffer, span.address, length);
  }

  #at(plan: Plan, place: Place | undefined, type: TensorType): KeptNumbers {
    if (place === undefined) throw new PrefgradError('a tensor of the program has no place');
    const address = addressOf(plan, place, this.#layout);
    return this.#view({ address, bytes: bytesOf(type) }, type);
  }

  /** A variable's memory, given and zeroed where it has none yet. */
  #spanOf(variable: Variable): Span {
    const known = this.#variables.get(variable);
    if (known) return known;
    const span = this.#allocator.allocate(bytesOf(variable.type), variable.name);
    this.#variables.set(variable, span);
    this.#view(span, variable.type).fill(0);
    return span;
  }

  get #layout(): Layout {
    return { arena: this.#arena.address, addressOf: (v) => this.#spanOf(v).address };
  }

  #reserveArena(plan: Plan): void {
    const bytes = arenaOf(plan);
    if (bytes <= this.#arena.bytes) return;
    for (const loaded of this.#loaded) this.#unlink(loaded);
    if (this.#arena.bytes > 0) this.#allocator.release(this.#arena);
    // Where there is no room now, a smaller program gets its arena when it runs.
    this.#arena = { address: 0, bytes: 0 };
    this.#arena = this.#allocator.allocate(bytes, 'intermediate tensors');
  }

  #link({ id, plan }: Loaded): Loaded['linked'] & object {
    const linked = link(plan, this.#layout, lowerings, this.team.threads);
    const records = this.#allocator.allocate(linked.words.byteLength, 'call records');
    new Int32Array(this.memoryObject.buffer, records.address, linked.words.length).set(linked.words);
    if (!this.profile) {
      this.team.load(id, linked, records.address);
      return { linked, records };
    }
    const bytes = 8 * this.threads * stampsOf(linked.calls.length);
    const stamps = new Float64Array(canShare() ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
    this.team.load(id, linked, records.address, stamps);
    return { linked, records, stamps };
  }

  #unlink(loaded: Loaded): void {
    if (!loaded.linked) return;
    this.team.unload(loaded.id);
    this.#allocator.release(loaded.linked.records);
    loaded.linked = undefined;
  }
}
