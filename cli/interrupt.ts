/** The part of `process` that signals come from. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): void;
}

/** Exit codes of a process that a signal ended: 128 + its number. */
const codes = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interruptible {
  /** Asks the work to stop at its next good moment. */
  signal: AbortSignal;
  /** 130 or 143 after a signal, else undefined. */
  readonly exitCode: () => number | undefined;
}

/**
 * Runs work that can stop at a good moment. The first Ctrl-C (or SIGTERM) aborts the signal and calls `first`;
 * the second one calls `second` and ends the process at once.
 */
export async function interruptible<T>(
  source: SignalSource,
  on: { first(): void; second(): void },
  work: (interruptible: Interruptible) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let code: number | undefined;
  const listen = (signal: keyof typeof codes) => () => {
    if (code !== undefined) {
      on.second();
      source.exit(codes[signal]);
      return;
    }
    code = codes[signal];
    on.first();
    controller.abort();
  };
  const [onInterrupt, onTerminate] = [listen('SIGINT'), listen('SIGTERM')];
  source.on('SIGINT', onInterrupt);
  source.on('SIGTERM', onTerminate);
  try {
    return await work({ signal: controller.signal, exitCode: () => code });
  } finally {
    source.off('SIGINT', onInterrupt);
    source.off('SIGTERM', onTerminate);
  }
}

/** Runs work that has nothing to save: the first Ctrl-C calls `tidy` and ends the process. */
export async function breakable<T>(
  source: SignalSource,
  tidy: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const end = (signal: keyof typeof codes) => () => {
    tidy();
    source.exit(codes[signal]);
  };
  const [onInterrupt, onTerminate] = [end('SIGINT'), end('SIGTERM')];
  source.on('SIGINT', onInterrupt);
  source.on('SIGTERM', onTerminate);
  try {
    return await work();
  } finally {
    source.off('SIGINT', onInterrupt);
    source.off('SIGTERM', onTerminate);
  }
}
