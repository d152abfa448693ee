import { basename } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Evaluation, MemoryPlan, Phase, RunStart, TrainEvent } from '../trainer/events.ts';
import type { StepMetrics } from '../trainer/metrics.ts';
import { counted, known } from '../trainer/report/comparison.ts';
import {
  formatBytes,
  formatCount,
  formatInteger,
  formatNumber,
  formatPercent,
} from '../trainer/report/numbers.ts';
import { fitLine, joinFields, phaseFields, phaseNames, stepFields, type StepStatus } from './statusLine.ts';
import { paintFor, type Paint, type Terminal } from './terminal.ts';

/** Steps whose time stands for the ones to come. */
const recentSteps = 50;
/** Seconds between two lines of one phase in a log. */
const logEvery = 10;

type Live = { kind: 'step' } | { kind: 'phase'; phase: Phase; done: number; total: number };

/**
 * Shows a run's events on stderr. A terminal has one line that is redrawn; a log has a line at each logging step and
 * at the end of each phase. What stays of interest (start, evaluations, checkpoints, warnings) is a line in both.
 */
export class Progress {
  readonly #terminal: Terminal;
  readonly #paint: Paint;
  readonly #now: () => number;
  #bar: SingleBar | undefined;
  #live: Live | undefined;
  #start: RunStart | undefined;
  #startedAt = 0;
  #step = 0;
  #metrics: StepMetrics = {};
  #recent: { seconds: number; tokens: number }[] = [];
  #phase: Phase | undefined;
  #phaseLoggedAt = 0;

  /** `now` is a clock in seconds. */
  constructor(terminal: Terminal, now: () => number = () => performance.now() / 1000) {
    this.#terminal = terminal;
    this.#paint = paintFor(terminal.stderr);
    this.#now = now;
    this.#startedAt = now();
  }

  onEvent(event: TrainEvent): void {
    switch (event.type) {
      case 'progress':
        this.#showPhase(event.phase, event.done, event.total);
        break;
      case 'start':
        this.#start = event;
        this.#startedAt = this.#now();
        this.#step = event.firstStep;
        this.message(this.#paint.bold(startLine(event)));
        break;
      case 'memory':
        this.message(this.#paint.dim(memoryLine(event.plan)));
        break;
      case 'step':
        this.#step = event.step;
        this.#metrics = event.metrics;
        this.#recent = [...this.#recent, { seconds: event.seconds, tokens: event.tokens }].slice(
          -recentSteps,
        );
        if (this.#terminal.live) this.#draw({ kind: 'step' });
        break;
      case 'log':
        if (!this.#terminal.live && event.line['loss'] !== undefined) this.#logStep(event.line);
        break;
      case 'evaluation':
        this.message(evaluationText(event.evaluation));
        break;
      case 'checkpoint':
        this.message(
          this.#paint.dim(
            `${basename(event.path)} saved (${formatBytes(event.bytes)}, ${event.seconds.toFixed(1)} s)`,
          ),
        );
        break;
      case 'warning':
        this.message(
          `${this.#paint.warning('warning:')} ${event.step === undefined ? '' : `step ${event.step}: `}${event.message}`,
        );
        break;
      case 'profile':
        break;
      case 'end':
        this.stop();
        break;
    }
  }

  /** Writes a line of its own, above the live one. */
  message(text: string): void {
    const live = this.#live;
    this.stop();
    this.#terminal.stderr.write(`${text}\n`);
    if (live !== undefined) this.#draw(live);
  }

  /** Takes the live line away and gives the cursor back; later events bring it back. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#live = undefined;
  }

  #showPhase(phase: Phase, done: number, total: number): void {
    const ended = done >= total;
    if (phase !== this.#phase) [this.#phase, this.#phaseLoggedAt] = [phase, this.#now()];
    if (this.#terminal.live) {
      if (ended) this.stop();
      else this.#draw({ kind: 'phase', phase, done, total });
      return;
    }
    if (ended ? total > 1 : done > 0 && this.#now() - this.#phaseLoggedAt >= logEvery) {
      this.message(`${phaseNames[phase]}: ${formatInteger(done)} of ${formatInteger(total)}`);
      this.#phaseLoggedAt = this.#now();
    }
  }

  #logStep(line: Readonly<Record<string, number | null>>): void {
    const metrics = Object.fromEntries(Object.entries(line).map(([name, value]) => [name, value ?? NaN]));
    const status = { ...this.#status(), metrics, step: line['step'] ?? this.#step };
    const tokensPerSecond = known(line['tokens_per_second']) ?? status.tokensPerSecond;
    this.message(joinFields(stepFields({ ...status, tokensPerSecond })));
  }

  #status(): StepStatus {
    const seconds = this.#recent.reduce((sum, step) => sum + step.seconds, 0);
    const tokens = this.#recent.reduce((sum, step) => sum + step.tokens, 0);
    const totalSteps = this.#start?.totalSteps ?? this.#step;
    return {
      step: this.#step,
      totalSteps,
      metrics: this.#metrics,
      tokensPerSecond: seconds > 0 ? tokens / seconds : undefined,
      elapsed: this.#now() - this.#startedAt,
      left: seconds > 0 ? (seconds / this.#recent.length) * (totalSteps - this.#step) : undefined,
    };
  }

  #draw(live: Live): void {
    this.#live = live;
    if (this.#bar !== undefined) return; // it redraws itself, so that the clock goes on during a long step
    this.#bar = new SingleBar({
      stream: this.#terminal.stderr,
      format: () => this.#line(),
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // interrupt.ts has the signals
      linewrap: true,
      fps: 8,
    });
    this.#bar.start(1, 0);
  }

  #line(): string {
    const columns = (this.#terminal.stderr.columns ?? 80) - 1;
    if (this.#live?.kind === 'phase') {
      const { phase, done, total } = this.#live;
      return fitLine(phaseFields(phase, done, total), total > 0 ? done / total : 0, columns);
    }
    const status = this.#status();
    return fitLine(stepFields(status), status.totalSteps > 0 ? status.step / status.totalSteps : 0, columns);
  }
}

function startLine(start: RunStart): string {
  const { trainableParameters: trainable, parameters, data, firstStep, totalSteps, threads } = start;
  return [
    `${start.model}: ${start.method}`,
    `${formatCount(parameters)} parameters${trainable < parameters ? ` (${formatCount(trainable)} trained)` : ''}`,
    counted(data.train, 'row') + (data.heldOut > 0 ? ` and ${data.heldOut} held out` : ''),
    firstStep > 0 ? `steps ${firstStep + 1} to ${totalSteps}` : counted(totalSteps, 'step'),
    start.device + (threads === undefined ? '' : ` on ${counted(threads, 'thread')}`),
  ].join(', ');
}

function memoryLine({ parameters, gradients, optimizer, arena, total, ...plan }: MemoryPlan): string {
  const choices = [
    ...(plan.logitsKept ? ['logits kept'] : []),
    ...(plan.blocksRecomputed ? ['blocks computed again'] : []),
  ].join(', ');
  const parts = [
    `parameters ${formatBytes(parameters)}`,
    `gradients ${formatBytes(gradients)}`,
    `optimizer ${formatBytes(optimizer)}`,
    `step ${formatBytes(arena)}${choices && `: ${choices}`}`,
  ];
  return `memory: ${formatBytes(total)} (${parts.join(', ')})`;
}

/** `step 30: accuracy 71.9 %, margin 15.4, reward total 0.459, short 0.256` */
function evaluationText({ step, accuracy, margin, metrics, auxiliary }: Evaluation): string {
  const sampled = Object.entries(auxiliary).flatMap(([name, { sampled: mean }]) =>
    mean === undefined ? [] : [`${name} ${formatNumber(mean)}`],
  );
  const { loss } = metrics;
  const parts = [
    ...(typeof loss === 'number' ? [`loss ${formatNumber(loss)}`] : []),
    ...(accuracy === undefined ? [] : [`accuracy ${formatPercent(accuracy)}`]),
    ...(margin === undefined ? [] : [`margin ${formatNumber(margin)}`]),
    ...(sampled.length === 0 ? [] : [`reward ${sampled.join(', ')}`]),
  ];
  return `evaluation at step ${step}: ${parts.length > 0 ? parts.join(', ') : 'nothing measured'}`;
}
