import type { ProfiledRun, ProfileSummary } from '../engine/index.ts';
import { Profile, chromeTrace } from '../engine/index.ts';

const now = (): number => performance.timeOrigin + performance.now();

/** Steps that are left out where others follow: caches and compilers are cold. */
const WARM_UP = 2;
/** The trace holds the runs of the last steps, so many calls in all at most. */
const TRACED_STEPS = 3;
const TRACED_CALLS = 50_000;

/** Where the time of a training's steps goes, on the wasm device. */
export class StepProfile {
  #profile = new Profile();
  #measured = { steps: 0, ms: 0 };
  #ended = 0;
  /** Runs of the step that is under way; without one, runs are of no step. */
  #current: ProfiledRun[] | undefined;
  #began = 0;
  #last: { name: string; from: number; to: number; runs: readonly ProfiledRun[] }[] = [];

  /** A device's `profile`. */
  readonly add = (run: ProfiledRun): void => {
    this.#current?.push({ ...run, stamps: run.stamps.slice() });
  };

  /** The runs from here on are a step's. */
  begin(): void {
    this.#current = [];
    this.#began = now();
  }

  /** The step has ended just now, after `seconds`. Runs until the next begin() are something else's. */
  end(step: number, seconds: number): void {
    const [ended, runs] = [now(), this.#current ?? []];
    this.#current = undefined;
    if (this.#ended++ <= WARM_UP) {
      this.#profile = new Profile();
      this.#measured = { steps: 0, ms: 0 };
    }
    this.#measured.steps++;
    this.#measured.ms += 1000 * seconds;
    for (const run of runs) this.#profile.add(run);
    this.#last = [...this.#last, { name: `step ${step}`, from: this.#began, to: ended, runs }].slice(
      -TRACED_STEPS,
    );
  }

  /** Undefined before the first step. */
  get summary(): ProfileSummary | undefined {
    return this.#ended === 0 ? undefined : this.#profile.summary(this.#measured);
  }

  /** The last steps as a Chrome trace. */
  trace(): string {
    const runs = this.#last.flatMap((step) => step.runs);
    let calls = 0;
    const from = runs.findLastIndex((run) => (calls += run.calls.length) > TRACED_CALLS);
    const kept = runs.slice(Math.min(from + 1, runs.length - 1));
    return chromeTrace(
      kept,
      this.#last.filter(({ to }) => to >= (kept[0]?.asked ?? 0)),
    );
  }
}
