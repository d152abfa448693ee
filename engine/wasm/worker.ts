/** What a worker is sent. */
export type ToWorker =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly thread: number;
      readonly threads: number;
      readonly spins: number;
    }
  | {
      readonly kind: 'load';
      readonly id: number;
      readonly kernels: readonly string[];
      readonly kernelOf: Int32Array;
      readonly barriers: Uint8Array;
      /** Address of each call's record. */
      readonly records: Uint32Array;
      /** Shared; where this thread notes its times (profile.ts), if anybody wants them. */
      readonly stamps: Float64Array | undefined;
    }
  | { readonly kind: 'unload' | 'run'; readonly id: number };

export type FromWorker =
  { readonly kind: 'ready' | 'done' } | { readonly kind: 'failed'; readonly message: string };

/**
 * The whole of a worker as one function, so that its text can start one in every runtime: it closes over nothing.
 * It keeps the loaded call lists and runs one when told to, in lockstep with the other threads.
 */
export function workerMain(): void {
  interface Port {
    postMessage(message: FromWorker): void;
    on?(event: 'message', listener: (message: ToWorker) => void): void;
  }
  interface List {
    readonly functions: readonly ((record: number, thread: number, threads: number) => void)[];
    readonly barriers: Uint8Array;
    readonly records: Uint32Array;
    readonly stamps: Float64Array | undefined;
  }
  const scope: {
    process?: { versions?: { node?: string }; getBuiltinModule?(name: string): { parentPort: Port } };
    Deno?: unknown;
    postMessage(message: FromWorker): void;
    addEventListener(event: 'message', listener: (event: { data: ToWorker }) => void): void;
  } = globalThis;

  const lists = new Map<number, List>();
  let kernels: Record<string, (...args: number[]) => number> = {};
  let thread = 0;
  let threads = 1;
  let spins = 0;

  const run = ({ functions, barriers, records, stamps }: List): boolean => {
    const barrier = kernels['barrier'];
    if (barrier === undefined) return false;
    let at = 0;
    const stamp = (): void => {
      if (stamps) stamps[at++] = performance.timeOrigin + performance.now();
    };
    stamp();
    for (let i = 0; i < functions.length; i++) {
      if (barriers[i] === 1 && barrier(0, threads, spins) !== 0) return false;
      stamp();
      functions[i]?.(records[i] ?? 0, thread, threads);
      stamp();
    }
    const together = barrier(0, threads, spins) === 0;
    stamp();
    return together;
  };

  const receive = (message: ToWorker, post: (message: FromWorker) => void): void => {
    try {
      if (message.kind === 'start') {
        ({ thread, threads, spins } = message);
        const instance = new WebAssembly.Instance(message.module, { env: { memory: message.memory } });
        kernels = instance.exports as never;
        post({ kind: 'ready' });
      } else if (message.kind === 'load') {
        const functions = Array.from(message.kernelOf, (k) => {
          const kernel = kernels[message.kernels[k] ?? ''];
          if (kernel === undefined) throw new Error(`there is no kernel ${message.kernels[k]}`);
          return kernel;
        });
        const { barriers, records, stamps } = message;
        lists.set(message.id, { functions, barriers, records, stamps });
      } else if (message.kind === 'unload') lists.delete(message.id);
      else {
        const list = lists.get(message.id);
        if (list === undefined) throw new Error(`program ${message.id} is not loaded`);
        if (run(list)) {
          if (thread === 0) post({ kind: 'done' });
        } else post({ kind: 'failed', message: 'another thread failed' });
      }
    } catch (error) {
      kernels['abort']?.(0);
      post({ kind: 'failed', message: String(error) });
    }
  };

  const { process } = scope;
  if (process?.versions?.node !== undefined && scope.Deno === undefined && process.getBuiltinModule) {
    const { parentPort } = process.getBuiltinModule('node:worker_threads');
    parentPort.on?.('message', (message) => receive(message, (answer) => parentPort.postMessage(answer)));
  } else {
    scope.addEventListener('message', (event) => receive(event.data, (answer) => scope.postMessage(answer)));
  }
}
