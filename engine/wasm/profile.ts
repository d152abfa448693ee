import type { CallInfo } from './link.ts';

/** One run of a program, call by call. Times are milliseconds of the wall clock (performance.timeOrigin + now). */
export interface ProfiledRun {
  readonly program: string;
  readonly calls: readonly CallInfo[];
  readonly threads: number;
  /**
   * For each thread stampsOf(calls) numbers: when it began; start and end of each call, waiting at barriers left
   * out; when it saw that all were done (of thread 0 alone to be relied on, since the answer does not wait for others).
   */
  readonly stamps: Float64Array;
  /** When the run was asked for, its inputs being in place, and when the answer came. */
  readonly asked: number;
  readonly answered: number;
}

/** Milliseconds of the wall clock, the same in every thread. */
export const now = (): number => performance.timeOrigin + performance.now();

/** Numbers of one thread in a run's stamps. */
export const stampsOf = (calls: number): number => 2 * calls + 2;

/**
 * All calls of one kernel for one op. Milliseconds of a run, on average over runs and threads: over all kernels, `ms`
 * and `waiting` add up to the time that the threads spent in the run.
 */
export interface KernelTime {
  readonly op: string;
  readonly kernel: string;
  /** Calls in one run. */
  readonly calls: number;
  readonly bytes: number;
  readonly ms: number;
  /** Waiting for the other threads after these calls. */
  readonly waiting: number;
}

/** Where the time of runs went; an empty one collects them as a device's `profile`. */
export class Profile {
  readonly #times = new Map<string, KernelTime>();
  #runs = 0;
  #total = 0;
  #outside = 0;

  add(run: ProfiledRun): void {
    const { calls, threads, stamps, asked, answered } = run;
    const size = stampsOf(calls.length);
    const all = Array.from({ length: threads }, (_, t) => stamps.subarray(t * size, (t + 1) * size));
    const mean = (of: (s: Float64Array) => number): number =>
      all.reduce((sum, s) => sum + of(s), 0) / threads;
    const done = stamps[size - 1] ?? 0;
    this.#runs++;
    this.#total += answered - asked;
    this.#outside += answered - asked - mean((s) => done - (s[0] ?? 0));
    calls.forEach(({ op, kernel, bytes }, i) => {
      const spent = mean((s) => (s[2 + 2 * i] ?? 0) - (s[1 + 2 * i] ?? 0));
      const next = (s: Float64Array): number => (i + 1 < calls.length ? (s[3 + 2 * i] ?? 0) : done);
      const waiting = mean((s) => next(s) - (s[2 + 2 * i] ?? 0));
      const key = `${op} ${kernel}`;
      const sum = this.#times.get(key) ?? { op, kernel, calls: 0, bytes: 0, ms: 0, waiting: 0 };
      this.#times.set(key, {
        ...sum,
        calls: sum.calls + 1,
        bytes: sum.bytes + bytes,
        ms: sum.ms + spent,
        waiting: sum.waiting + waiting,
      });
    });
  }

  /** Milliseconds of a run: in all, and outside of the threads' lists (messages, JavaScript). */
  get perRun(): { readonly total: number; readonly outside: number } {
    return { total: this.#total / this.#runs, outside: this.#outside / this.#runs };
  }

  /** The longest first, for one run. */
  kernels(): KernelTime[] {
    const n = this.#runs;
    return [...this.#times.values()]
      .map((t) => ({ ...t, calls: t.calls / n, bytes: t.bytes / n, ms: t.ms / n, waiting: t.waiting / n }))
      .sort((a, b) => b.ms - a.ms);
  }
}

/** One run as a Chrome trace (chrome://tracing, ui.perfetto.dev): a row for each thread. */
export function chromeTrace({ program, calls, threads, stamps, asked, answered }: ProfiledRun): string {
  const size = stampsOf(calls.length);
  const event = (name: string, tid: number, from: number, to: number) => ({
    name,
    ph: 'X',
    pid: 0,
    tid,
    ts: (from - asked) * 1000,
    dur: (to - from) * 1000,
  });
  const events = Array.from({ length: threads }, (_, t) =>
    calls.map(({ op, kernel }, i) => {
      const at = t * size + 1 + 2 * i;
      return event(op === kernel ? op : `${op}: ${kernel}`, t + 1, stamps[at] ?? 0, stamps[at + 1] ?? 0);
    }),
  );
  return JSON.stringify({ traceEvents: [event(program, 0, asked, answered), ...events.flat()] });
}
