import { relative } from 'node:path';
import { formatAlike, formatDuration, formatNumber, formatPercent } from '../../trainer/report/numbers.ts';
import { nameOf } from '../../trainer/sweep/plot.ts';
import type { Measured, Spread, SweepResult } from '../../trainer/sweep/results.ts';
import { placed, rewardsOf } from '../../trainer/sweep/results.ts';
import type { SweepEvent, SweepOptions, SweepOutcome } from '../../trainer/sweep/sweep.node.ts';
import { interruptible } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { formatTable } from '../table.ts';
import type { Context } from './context.ts';

export interface SweepCommandOptions extends SweepOptions {
  json: boolean;
}

export interface SweepWork {
  /** Resolves when all runs are done, or when `signal` was aborted and the run that went on has stopped. */
  sweep(
    options: SweepOptions,
    run: { signal: AbortSignal; onEvent: (event: SweepEvent) => void },
  ): Promise<SweepOutcome>;
}

export async function runSweep(
  options: SweepCommandOptions,
  context: Context,
  work: SweepWork,
): Promise<number> {
  const { terminal, now } = context;
  const lines = new SweepProgress(context);
  const signals = {
    first: () =>
      lines.message(
        'stopping after this step; finished runs are kept, and the same command goes on; Ctrl-C again to leave at once',
      ),
    second: () => lines.stop(),
  };
  const began = now();
  return interruptible(context.signals, signals, async ({ signal, exitCode }) => {
    try {
      const { json, ...rest } = options;
      const outcome = await work.sweep(rest, { signal, onEvent: (event) => lines.onEvent(event) });
      lines.stop();
      terminal.stdout.write(json ? `${JSON.stringify(outcome)}\n` : outcomeText(outcome, now() - began));
      return outcome.status === 'stopped' ? (exitCode() ?? 1) : 0;
    } finally {
      lines.stop();
    }
  });
}

/** A line for each run that begins and ends; in between, the run's own progress. */
class SweepProgress {
  #progress: Progress;
  #total = 0;
  #done = 0;
  /** Wall time of the runs that this command has finished, each from its beginning. */
  readonly #seconds: number[] = [];
  #runBegan = 0;

  constructor(private readonly context: Context) {
    this.#progress = new Progress(context.terminal, context.now);
  }

  onEvent(event: SweepEvent): void {
    const { terminal, now } = this.context;
    switch (event.type) {
      case 'plan':
        this.#total = event.total;
        this.#done = event.reused;
        this.message(`${event.total} runs${event.reused > 0 ? `, ${event.reused} of them done before` : ''}`);
        break;
      case 'run':
        this.#runBegan = now();
        this.message(
          `run ${event.index + 1} of ${this.#total}: ${event.run.point.label}, seed ${event.run.seed}${event.resumed ? ', from its last checkpoint' : ''}`,
        );
        // The next run's steps are timed anew.
        this.#progress = new Progress(terminal, now);
        break;
      case 'train':
        this.#progress.onEvent(event.event);
        break;
      case 'result':
        this.#done++;
        this.#seconds.push(now() - this.#runBegan);
        this.message(
          `run ${event.index + 1} of ${this.#total}: ${measures(event.result.after)}${this.#left()}`,
        );
        break;
    }
  }

  /** `; 4 left, about 12:30` */
  #left(): string {
    const left = this.#total - this.#done;
    const mean = this.#seconds.reduce((sum, seconds) => sum + seconds, 0) / this.#seconds.length;
    return left === 0 ? '' : `; ${left} left, about ${formatDuration(left * mean)}`;
  }

  message(text: string): void {
    this.#progress.message(text);
  }

  stop(): void {
    this.#progress.stop();
  }
}

function measures({ accuracy, metrics, rewards }: Measured): string {
  const scores = Object.entries(rewards).map(([name, value]) => `${name} ${formatNumber(value)}`);
  return `accuracy ${formatPercent(accuracy)}, against the reference ${formatPercent(metrics['rewards/accuracies'])}, ${scores.join(', ')}`;
}

function outcomeText({ done, total, results, outputs }: SweepOutcome, seconds: number): string {
  const rewards = rewardsOf(results);
  const front = new Set(
    placed(results, rewards[0] ?? '', 'accuracy').flatMap((one) => (one.front ? one.result : [])),
  );
  const percents = (spreads: readonly (Spread | undefined)[]) =>
    spreads.map((one) => `${formatPercent(one?.mean)}${plusMinus(one, (value) => (100 * value).toFixed(1))}`);
  const numbers = (spreads: readonly (Spread | undefined)[]) => {
    const means = formatAlike(spreads.map((one) => rounded(one?.mean)));
    return spreads.map(
      (one, i) => `${means[i]}${plusMinus(one, (value) => String(Number(value.toPrecision(2))))}`,
    );
  };
  const of = (pick: (result: SweepResult) => Spread | undefined) => results.map(pick);
  const columns = [
    percents(of((one) => one.accuracy)),
    percents(of((one) => one.implicitAccuracy)),
    ...rewards.map((name) => numbers(of((one) => one.rewards[name]))),
    numbers(of((one) => one.words)),
  ];
  const head = ['', 'accuracy', 'against reference', ...rewards, 'words', ''];
  const rows = results.map((one, i) => [
    nameOf(one),
    ...columns.map((column) => column[i]),
    front.has(one) ? 'Pareto front' : '',
  ]);
  const right = columns.map((_, i) => i + 1);
  const here = process.cwd();
  const paths = outputs.map(({ label, path }) => [label, relative(here, path)]);
  return `${done} of ${total} runs in ${formatDuration(seconds)}\n\n${formatTable([head, ...rows], { right })}\n${formatTable(paths)}`;
}

function plusMinus(spread: Spread | undefined, format: (value: number) => string): string {
  return spread === undefined || spread.values.length < 2 ? '' : ` ± ${format(spread.deviation)}`;
}

/** To four significant digits, more than seeds agree on. */
const rounded = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Number(value.toPrecision(4));
