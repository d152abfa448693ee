import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { saveFiles } from '../models/files/save.node.ts';
import { BestModel } from './bestModel.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import type { Evaluator } from './evaluation.ts';
import type { BestEvaluation, Phase, TrainEvent } from './events.ts';
import { evaluationLine } from './events.ts';
import { openLogs } from './logs.node.ts';
import type { MetricsWriter } from './metrics.node.ts';
import type { MetricsWindow } from './metrics.ts';
import { metricsOf } from './metrics.ts';
import { isDue } from './prepareRun.ts';
import type { RunRecord } from './report/record.ts';
import { checkpointRun } from './runCheckpoint.node.ts';
import type { RunWatch } from './runWatch.ts';
import type { Session } from './session.ts';
import type { StepProfile } from './stepProfile.ts';
import type { StepResult, TrainingLoop } from './trainingLoop.ts';
import type { Tuned } from './tuned.ts';

/** A run that is prepared, and stands where its checkpoint was if it is resumed. */
export interface ReadyRun {
  readonly config: TrainConfig;
  readonly session: Session;
  readonly tuned: Tuned;
  readonly loop: TrainingLoop;
  readonly evaluator: Evaluator | undefined;
  readonly watch: RunWatch;
  /** What the report is made of: `emit` adds to it. */
  readonly record: RunRecord;
  readonly emit: (event: TrainEvent) => void;
  /** What has not been logged yet. */
  readonly window: MetricsWindow;
  /** Rows that are trained on. */
  readonly rows: number;
  readonly resumed: boolean;
  /** Wall time so far. */
  readonly seconds: () => number;
  readonly profile: StepProfile | undefined;
  readonly signal: AbortSignal;
}

/** What happens around the steps of a run with an output folder: evaluations, logs, checkpoints, model and report. */
export class Run {
  readonly #best: BestModel;

  constructor(private readonly run: ReadyRun) {
    this.#best = new BestModel(run.config);
    for (const evaluation of run.record.evaluations) this.#best.see(evaluation);
    run.watch.resume(run.record.lines, run.record.warnings);
  }

  /** Errors: a resumed run's best checkpoint, which is to become the final model, is damaged or gone. */
  async checkBest(): Promise<void> {
    const { config } = this.run;
    if (config.loadBestModelAtEnd && this.#best.best)
      await openCheckpoint(config.outputDir, this.#bestPath(this.#best.best));
  }

  /** Takes the steps that are left; where the signal stops it, the run ends with a checkpoint. */
  async toEnd(): Promise<void> {
    const { config, loop, resumed, signal } = this.run;
    const logs = await openLogs(config, resumed ? { resumeAfter: loop.position.step } : {});
    try {
      signal.throwIfAborted();
      if (!resumed) await this.#evaluate(logs);
      const stopped = await untilAborted(signal, () => this.#steps(logs));
      if (stopped) await this.#checkpoint();
      await this.#finish(stopped, logs.path);
    } finally {
      await logs.close();
    }
  }

  async #steps(logs: MetricsWriter): Promise<void> {
    const { loop, resumed, profile, signal } = this.run;
    const { step, position } = loop.position;
    if (resumed && this.#evaluationDue(step, position.index === 0)) await this.#evaluate(logs);
    const settleAfter = (at: number, epochEnd: boolean) =>
      this.#evaluationDue(at, epochEnd) || this.#saveDue(at, epochEnd);
    profile?.begin();
    if (!this.#best.exhausted)
      for await (const result of loop.steps({ settleAfter, signal })) {
        profile?.end(result.step, result.seconds);
        await this.#afterStep(result, logs);
        if (this.#best.exhausted) break;
        profile?.begin();
      }
    signal.throwIfAborted();
    await this.#evaluate(logs);
  }

  /** Measures the model on held-out rows, once a step. */
  async #evaluate(logs: MetricsWriter): Promise<void> {
    const { loop, evaluator, record, emit, signal } = this.run;
    const { step } = loop.position;
    if (!evaluator || record.evaluations.at(-1)?.step === step) return;
    const onProgress = (phase: Phase, done: number, total: number) =>
      emit({ type: 'progress', phase, done, total });
    const evaluation = await evaluator.evaluate(step, { onProgress, signal });
    const best = this.#best.see(evaluation);
    emit({ type: 'evaluation', evaluation: best ? { ...evaluation, best } : evaluation });
    if (step > 0) await logs.append(evaluationLine(evaluation, loop.epoch));
  }

  /** Whether an evaluation belongs to a step; a run stopped in the middle of one makes up for it when it resumes. */
  #evaluationDue(step: number, epochEnd: boolean): boolean {
    const { evalStrategy, evalSteps } = this.run.config;
    return isDue(evalStrategy, evalSteps, step, epochEnd);
  }

  #saveDue(step: number, epochEnd: boolean): boolean {
    const { saveStrategy, saveSteps } = this.run.config;
    return isDue(saveStrategy, saveSteps, step, epochEnd);
  }

  async #afterStep(result: StepResult, logs: MetricsWriter): Promise<void> {
    const { config, loop, window, watch, record, emit } = this.run;
    const { step, seconds, tokens, epochEnd } = result;
    window.addStep(result);
    emit({ type: 'step', step, seconds, tokens, metrics: metricsOf(result) });

    const log = async (): Promise<void> => {
      const line = window.take(step);
      await logs.append(line);
      emit({ type: 'log', line });
      for (const warning of watch.see(line)) emit({ type: 'warning', ...warning });
    };
    const last = step === loop.totalSteps;
    if (step % config.loggingSteps === 0 || last) await log();
    if (this.#evaluationDue(step, epochEnd)) await this.#evaluate(logs);
    const early = !last && this.#best.exhausted;
    if (early) {
      record.early = true;
      if (window.steps > 0) await log();
    }
    const best = config.loadBestModelAtEnd && this.#best.best?.step === step;
    if (best || this.#saveDue(step, epochEnd) || ((last || early) && config.saveStrategy !== 'no')) {
      await logs.sync();
      await this.#checkpoint();
    }
  }

  async #checkpoint(): Promise<void> {
    const { config, session, tuned, loop, window, record, rows, emit } = this.run;
    const began = performance.now();
    const { path, bytes } = await checkpointRun(config, session, tuned, loop, {
      ...{ window, record, rows, seconds: this.run.seconds() },
      best: config.loadBestModelAtEnd ? this.#best.best?.step : undefined,
    });
    const { step } = loop.position;
    emit({ type: 'checkpoint', step, path, bytes, seconds: (performance.now() - began) / 1000 });
  }

  #bestPath({ step }: BestEvaluation): string {
    return join(this.run.config.outputDir, `checkpoint-${step}`);
  }

  /** Puts the best evaluation's weights in the place of the last ones, where that is asked for. */
  async #loadBest(step: number): Promise<BestEvaluation | undefined> {
    const { config, tuned, emit } = this.run;
    const { best, disappointment } = this.#best;
    if (!config.loadBestModelAtEnd || !best) return undefined;
    if (best.step !== step) {
      const { path } = await openCheckpoint(config.outputDir, this.#bestPath(best));
      await tuned.restore(path);
    }
    if (disappointment !== undefined) emit({ type: 'warning', message: disappointment });
    return best;
  }

  /** The final model and the report. */
  async #finish(stopped: boolean, metricsPath: string): Promise<void> {
    const { config, session, tuned, loop, record, profile, emit } = this.run;
    const { step } = loop.position;
    const reportPath = join(config.outputDir, 'report.html');
    const best = stopped ? undefined : await this.#loadBest(step);
    if (!stopped) await saveFiles(config.outputDir, tuned.files());
    const summary = session.device.kind === 'wasm' ? profile?.summary : undefined;
    const profilePath = join(config.outputDir, 'profile.json');
    if (profile && summary) {
      await writeFile(profilePath, profile.trace());
      emit({ type: 'profile', summary });
    }
    emit({
      type: 'end',
      status: stopped ? 'stopped' : 'done',
      step,
      seconds: this.run.seconds(),
      ...(best ? { best } : {}),
      ...(!stopped && step < loop.totalSteps ? { early: this.#best.reason } : {}),
      outputs: [
        ...(stopped ? [] : [{ label: config.lora === null ? 'model' : 'adapter', path: config.outputDir }]),
        { label: 'report', path: reportPath },
        { label: 'metrics', path: metricsPath },
        ...(summary ? [{ label: 'profile', path: profilePath }] : []),
      ],
    });
    const { renderReport } = await import('./report/report.ts');
    await mkdir(config.outputDir, { recursive: true });
    await writeFile(`${reportPath}.partial`, renderReport(record));
    await rename(`${reportPath}.partial`, reportPath);
  }
}

/** Whether work ended because the signal was aborted; its other errors are thrown on. */
async function untilAborted(signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return true;
    throw error;
  }
}
