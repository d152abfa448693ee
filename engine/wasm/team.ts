import { PrefgradError } from '../errors.ts';
import { nodeProcess } from './features.ts';
import type { Linked } from './link.ts';
import { now, stampsOf } from './profile.ts';
import type { FromWorker, ToWorker } from './worker.ts';
import { workerMain } from './worker.ts';

/** The threads of a device: they load call lists and run one at a time. */
export interface Team {
  readonly threads: number;
  /** `stamps`: where the threads note their times (profile.ts), in shared memory. */
  load(id: number, linked: Linked, records: number, stamps?: Float64Array): void;
  unload(id: number): void;
  run(id: number): Promise<void>;
  dispose(): Promise<void>;
}

type Kernel = (record: number, thread: number, threads: number) => void;

const addresses = (linked: Linked, records: number): Uint32Array =>
  Uint32Array.from(linked.recordAt, (at) => records + 4 * at);

/** One thread: the calling one. */
export class SoloTeam implements Team {
  readonly threads = 1;
  readonly #exports: Readonly<Record<string, Kernel>>;
  readonly #lists = new Map<
    number,
    { functions: readonly Kernel[]; records: Uint32Array; stamps: Float64Array | undefined }
  >();

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as never;
  }

  load(id: number, linked: Linked, records: number, stamps?: Float64Array): void {
    const functions = Array.from(linked.kernelOf, (k) => {
      const kernel = this.#exports[linked.kernels[k] ?? ''];
      if (kernel === undefined) throw new PrefgradError(`there is no kernel ${linked.kernels[k]}`);
      return kernel;
    });
    this.#lists.set(id, { functions, records: addresses(linked, records), stamps });
  }

  unload(id: number): void {
    this.#lists.delete(id);
  }

  async run(id: number): Promise<void> {
    const list = this.#lists.get(id);
    if (list === undefined) throw new PrefgradError(`program ${id} is not loaded`);
    const { functions, records, stamps } = list;
    const stamp = (at: number): void => {
      if (stamps) stamps[at] = now();
    };
    stamp(0);
    for (let i = 0; i < functions.length; i++) {
      stamp(1 + 2 * i);
      functions[i]?.(records[i] ?? 0, 0, 1);
      stamp(2 + 2 * i);
    }
    stamp(1 + 2 * functions.length);
  }

  dispose(): Promise<void> {
    this.#lists.clear();
    return Promise.resolve();
  }
}

/** What node:worker_threads and the web's Worker have in common here. */
interface Thread {
  post(message: ToWorker): void;
  /** Whether a run keeps the process alive. */
  hold(held: boolean): void;
  terminate(): Promise<void>;
}

/** Several worker threads on shared memory; the calling thread sends one message per run and never blocks. */
export class WorkerTeam implements Team {
  readonly #threads: readonly Thread[];
  #running: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #broken: string | undefined;

  private constructor(
    readonly threads: number,
    start: (listener: (message: FromWorker) => void, failed: (message: string) => void) => Thread,
    ready: () => void,
  ) {
    let waiting = threads;
    const listener = (message: FromWorker): void => {
      if (message.kind === 'ready' && --waiting === 0) ready();
      if (message.kind === 'done') this.#settle(undefined);
      if (message.kind === 'failed') this.#fail(message.message);
    };
    this.#threads = Array.from({ length: threads }, () => start(listener, (message) => this.#fail(message)));
  }

  /** Starts the workers; resolves when each has its instance. */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: number,
    spins: number,
  ): Promise<WorkerTeam> {
    const start = await threadStarter();
    const team = await new Promise<WorkerTeam>((resolve) => {
      const made = new WorkerTeam(threads, start, () => resolve(made));
      made.#threads.forEach((t, thread) => t.post({ kind: 'start', module, memory, thread, threads, spins }));
    });
    for (const t of team.#threads) t.hold(false);
    return team;
  }

  load(id: number, linked: Linked, records: number, stamps?: Float64Array): void {
    const { kernels, kernelOf, barriers, calls } = linked;
    const size = stampsOf(calls.length);
    this.#threads.forEach((t, i) =>
      t.post({
        ...{ kind: 'load', id, kernels, kernelOf, barriers, records: addresses(linked, records) },
        stamps: stamps?.subarray(i * size, (i + 1) * size),
      }),
    );
  }

  unload(id: number): void {
    for (const t of this.#threads) t.post({ kind: 'unload', id });
  }

  run(id: number): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(new PrefgradError(this.#broken));
    return new Promise((resolve, reject) => {
      this.#running = { resolve, reject };
      for (const t of this.#threads) t.hold(true);
      for (const t of this.#threads) t.post({ kind: 'run', id });
    });
  }

  async dispose(): Promise<void> {
    this.#broken ??= 'the device is disposed';
    await Promise.all(this.#threads.map((t) => t.terminate()));
    this.#settle(new PrefgradError('the device was disposed while it ran'));
  }

  #settle(error: Error | undefined): void {
    const running = this.#running;
    this.#running = undefined;
    for (const t of this.#threads) t.hold(false);
    if (error) running?.reject(error);
    else running?.resolve();
  }

  #fail(message: string): void {
    this.#broken ??= `a worker thread failed: ${message}`;
    this.#settle(new PrefgradError(this.#broken));
  }
}

type StartThread = (listener: (message: FromWorker) => void, failed: (message: string) => void) => Thread;

async function threadStarter(): Promise<StartThread> {
  const source = `(${workerMain.toString()})()`;
  if (nodeProcess()) {
    const { Worker } = await import('node:worker_threads');
    return (listener, failed) => {
      const worker = new Worker(source, { eval: true });
      worker.on('message', listener);
      worker.on('error', (error) => failed(String(error)));
      return {
        post: (message) => worker.postMessage(message),
        hold: (held) => (held ? worker.ref() : worker.unref()),
        terminate: async () => void (await worker.terminate()),
      };
    };
  }
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  return (listener, failed) => {
    const worker = new Worker(url, { type: 'module' });
    worker.addEventListener('message', (event: MessageEvent<FromWorker>) => listener(event.data));
    worker.addEventListener('error', (event) => failed(event.message));
    return {
      post: (message) => worker.postMessage(message),
      hold: () => {},
      terminate: () => Promise.resolve(worker.terminate()),
    };
  };
}
