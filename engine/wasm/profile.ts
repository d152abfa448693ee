import type { Operand, RunNumbers } from './call.ts';
import type { LinkedCall } from './link.ts';

/** A call of one run. */
export interface CallInfo {
  readonly op: string;
  readonly kernel: string;
  /** Read and written: the true rows of tensors, and the whole of a workspace. */
  readonly bytes: number;
  /** Multiplications and additions of matrix products, attention's over the keys that a query sees. */
  readonly flops: number;
}

/** One run of a program, call by call. Times are milliseconds of the wall clock (performance.timeOrigin + now). */
export interface ProfiledRun {
  readonly program: string;
  readonly calls: readonly CallInfo[];
  readonly threads: number;
  /**
   * For each thread stampsOf(calls) numbers: when it began; start and end of each call, waiting at barriers left
   * out; when it saw that all were done (of thread 0 alone to be relied on, since the answer does not wait for
   * others). The next run of the program writes over them.
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

/** What a call does in a run with these counts of rows. */
export function workOf(
  { op, kernel, reads, writes, flops }: LinkedCall,
  counts: ReadonlyMap<string, number>,
  ints: RunNumbers['ints'],
): CallInfo {
  const of: RunNumbers['of'] = (field) =>
    field.kind === 'count' ? (counts.get(field.rows) ?? 0) * field.times : field.value;
  let bytes = 0;
  for (const span of [...reads, ...writes]) {
    const { shape, rows } = 'type' in span ? (span as Operand).type : { shape: [], rows: undefined };
    bytes += rows === undefined ? span.bytes : (span.bytes * (counts.get(rows) ?? 0)) / (shape[0] || 1);
  }
  return { op, kernel, bytes, flops: flops?.({ of, ints }) ?? 0 };
}

/** All calls of one kernel for one op, in one step; milliseconds are means over the threads. */
export interface KernelTime extends CallInfo {
  readonly calls: number;
  readonly ms: number;
  /** Of the slowest thread of each call. */
  readonly slowest: number;
  /** Waiting for the other threads after these calls. */
  readonly waiting: number;
}

/** Where the milliseconds of a step (a run, where nobody said what a step is) went; means over the steps. */
export interface ProfileSummary {
  readonly steps: number;
  readonly threads: number;
  /** The whole of a step: kernels, waiting, messages and script. */
  readonly total: number;
  /** The longest first. */
  readonly kernels: readonly KernelTime[];
  /** In kernels' lists, for other threads. */
  readonly waiting: number;
  /** From asking for a run to its threads' first call, and back. */
  readonly messages: number;
  /** JavaScript between the runs of a step. */
  readonly script: number;
}

/** Adds up runs. */
export class Profile {
  readonly #times = new Map<string, KernelTime>();
  #threads = 0;
  #runs = 0;
  #inRuns = 0;
  #inLists = 0;

  add({ calls, threads, stamps, asked, answered }: ProfiledRun): void {
    const size = stampsOf(calls.length);
    const all = Array.from({ length: threads }, (_, t) => stamps.subarray(t * size, (t + 1) * size));
    const mean = (of: (s: Float64Array) => number): number =>
      all.reduce((sum, s) => sum + of(s), 0) / threads;
    const done = stamps[size - 1] ?? 0;
    this.#threads = threads;
    this.#runs++;
    this.#inRuns += answered - asked;
    this.#inLists += mean((s) => done - (s[0] ?? 0));
    calls.forEach(({ op, kernel, bytes, flops }, i) => {
      const spent = (s: Float64Array): number => (s[2 + 2 * i] ?? 0) - (s[1 + 2 * i] ?? 0);
      const next = (s: Float64Array): number => (i + 1 < calls.length ? (s[3 + 2 * i] ?? 0) : done);
      const key = `${op} ${kernel}`;
      const sum = this.#times.get(key);
      this.#times.set(key, {
        op,
        kernel,
        calls: (sum?.calls ?? 0) + 1,
        bytes: (sum?.bytes ?? 0) + bytes,
        flops: (sum?.flops ?? 0) + flops,
        ms: (sum?.ms ?? 0) + mean(spent),
        slowest: (sum?.slowest ?? 0) + Math.max(...all.map(spent)),
        waiting: (sum?.waiting ?? 0) + mean((s) => next(s) - (s[2 + 2 * i] ?? 0)),
      });
    });
  }

  /** `steps` of `ms` milliseconds in all held the runs; without, each run is a step. */
  summary({ steps, ms } = { steps: this.#runs, ms: this.#inRuns }): ProfileSummary {
    const kernels = [...this.#times.values()].map((k) => ({
      ...k,
      calls: k.calls / steps,
      bytes: k.bytes / steps,
      flops: k.flops / steps,
      ms: k.ms / steps,
      slowest: k.slowest / steps,
      waiting: k.waiting / steps,
    }));
    const inKernels = kernels.reduce((sum, k) => sum + k.ms, 0);
    return {
      steps,
      threads: this.#threads,
      total: ms / steps,
      kernels: kernels.sort((a, b) => b.ms - a.ms),
      waiting: this.#inLists / steps - inKernels,
      messages: (this.#inRuns - this.#inLists) / steps,
      script: (ms - this.#inRuns) / steps,
    };
  }
}

/** A stretch of time, in milliseconds as a run's. */
export interface TraceSpan {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Runs as a Chrome trace (chrome://tracing, ui.perfetto.dev): a row with the runs, inside of `around` where it is
 * given, and a row for each thread.
 */
export function chromeTrace(runs: readonly ProfiledRun[], around: readonly TraceSpan[] = []): string {
  const start = Math.min(...runs.map((r) => r.asked), ...around.map((s) => s.from));
  const event = (tid: number, { name, from, to }: TraceSpan, args?: Record<string, number>) => ({
    ...{ name, ph: 'X', pid: 0, tid },
    ...{ ts: (from - start) * 1000, dur: (to - from) * 1000 },
    args,
  });
  const threads = Math.max(0, ...runs.map((r) => r.threads));
  const rows = ['JavaScript', ...Array.from({ length: threads }, (_, t) => `thread ${t}`)];
  return JSON.stringify({
    traceEvents: [
      ...rows.map((name, tid) => ({ name: 'thread_name', ph: 'M', pid: 0, tid, args: { name } })),
      ...around.map((span) => event(0, span)),
      ...runs.map(({ program, asked, answered }) => event(0, { name: program, from: asked, to: answered })),
      ...runs.flatMap(({ calls, stamps, threads: own }) =>
        calls.flatMap(({ op, kernel, bytes, flops }, i) =>
          Array.from({ length: own }, (_, t) => {
            const at = t * stampsOf(calls.length) + 1 + 2 * i;
            const name = op === kernel ? op : `${op}: ${kernel}`;
            return event(t + 1, { name, from: stamps[at] ?? 0, to: stamps[at + 1] ?? 0 }, { bytes, flops });
          }),
        ),
      ),
    ],
  });
}
