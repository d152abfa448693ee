import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceLostError, PrefgradError } from '../engine/index.ts';
import { saveFiles } from '../models/files/save.node.ts';
import { BestModel } from './bestModel.ts';
import { fileCache } from './cache.node.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import type { FoundData } from './data/load.ts';
import { findRows } from './data/find.node.ts';
import { writeNotes } from './data/notes.node.ts';
import { environmentOf, methodOf } from './describe.node.ts';
import type { BestEvaluation, Phase, TrainEvent } from './events.ts';
import { evaluationLine } from './events.ts';
import { openLogs } from './logs.node.ts';
import { metricsOf, MetricsWindow } from './metrics.ts';
import type { MetricsWriter } from './metrics.node.ts';
import { isDue, prepareRun } from './prepareRun.ts';
import type { RunRecord } from './report/record.ts';
import { emptyRecord, recordEvent } from './report/record.ts';
import { openOutputFolder } from './outputFolder.node.ts';
import { fileRewardCache } from './rewards/cache.node.ts';
import { createRewards } from './rewards/index.ts';
import { checkpointRun, resumeRun } from './runCheckpoint.node.ts';
import type { RunWarning, RunWatch } from './runWatch.ts';
import type { Session } from './session.ts';
import { openSession } from './session.ts';
import { StepProfile } from './stepProfile.ts';
import type { StepResult, TrainingLoop } from './trainingLoop.ts';
import type { Tuned } from './tuned.ts';
import { openTuned, sizeOfAll } from './tuned.ts';

export interface TrainHooks {
  /** Aborted: the step ends, a checkpoint is saved, and the run ends as `stopped`. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: TrainEvent) => void;
  /** Measures the steps call by call, on the wasm device: a `profile` event, and profile.json in the output folder. */
  readonly profile?: boolean;
}

/** A whole run from a configuration: everything that it says is read, trained and written. */
export async function train(config: TrainConfig, hooks: TrainHooks): Promise<void> {
  const { signal, onEvent } = hooks;
  const began = performance.now();
  const onProgress = (phase: Phase, done: number, total: number) =>
    onEvent({ type: 'progress', phase, done, total });
  const replacing = await openOutputFolder(config);
  const reading = { signal, onProgress: (done: number, total: number) => onProgress('data', done, total) };
  const files: DataFiles = {
    train: await findRows(config.data, reading),
    heldOut: config.evalData === null ? undefined : await findRows(config.evalData, reading),
  };
  const profile = hooks.profile === true ? new StepProfile() : undefined;
  const session = await openSession({
    ...{ ...config, maxPositions: positionsFor(config), frozen: config.lora !== null, onProgress },
    profile: profile?.add,
  });
  try {
    const tuned = await openTuned(config, session);
    await new Run(config, files, session, tuned, signal, onEvent, began, profile).run(replacing);
  } catch (error) {
    if (!(error instanceof DeviceLostError)) throw error;
    throw new PrefgradError(
      `${error.message}; go on from the last checkpoint in ${config.outputDir} with resume_from_checkpoint=true`,
    );
  } finally {
    await session.dispose();
  }
}

/** Rows of rotary tables: what training and sampling reach, where max_length bounds it. */
function positionsFor({ maxLength, sampling }: TrainConfig): number | undefined {
  return maxLength === null ? undefined : maxLength + sampling.maxNewTokens;
}

/** The data, looked at before the model is loaded, so that a mistake in it shows at once. */
interface DataFiles {
  readonly train: FoundData;
  readonly heldOut: FoundData | undefined;
}

class Run {
  record: RunRecord = emptyRecord();
  window = new MetricsWindow();
  readonly #best: BestModel;

  constructor(
    private readonly config: TrainConfig,
    private readonly files: DataFiles,
    private readonly session: Session,
    private readonly tuned: Tuned,
    private readonly signal: AbortSignal,
    private readonly listener: (event: TrainEvent) => void,
    private readonly began: number,
    private readonly profile: StepProfile | undefined,
  ) {
    this.#best = new BestModel(config);
  }

  #emit(event: TrainEvent): void {
    recordEvent(this.record, event);
    this.listener(event);
  }

  readonly #progress = (phase: Phase, done: number, total: number): void =>
    this.#emit({ type: 'progress', phase, done, total });

  #warn(warnings: readonly RunWarning[]): void {
    for (const warning of warnings) this.#emit({ type: 'warning', ...warning });
  }

  /** `replacing`: a sentence on the run that this one replaces, if any. */
  async run(replacing: string): Promise<void> {
    const { config, session, tuned, signal } = this;
    const { device } = session;
    const { model } = tuned;
    const { data, heldOut, loop, evaluator, watch, warnings } = await prepareRun({
      ...{ settings: config, session, model, data: this.files.train, heldOut: this.files.heldOut },
      rewards: await createRewards(config.rewards),
      rewardCache: fileRewardCache(),
      referenceCache: fileCache('reference'),
      onProgress: this.#progress,
      signal,
    });
    const resumed = await this.#resume(loop, data.rows.length);
    watch.resume(this.record.lines, this.record.warnings);

    this.#emit({
      type: 'start',
      model: config.model,
      method: methodOf(config),
      parameters: tuned.size,
      trainableParameters: sizeOfAll(model.parameters.map((p) => p.variable)),
      totalSteps: loop.totalSteps,
      firstStep: loop.position.step,
      warmupSteps: loop.warmupSteps,
      ...(config.method === 'hpo' ? { actorWarmupSteps: config.hpo.actorWarmupSteps } : {}),
      data: { train: data.rows.length, heldOut: heldOut?.rows.length ?? 0, leftOut: data.leftOut.length },
      rewards: config.rewards.map(({ name, weight }) => ({ name, weight })),
      device: device.description,
      config: { ...config },
      environment: environmentOf(),
      startedAt: new Date().toISOString(),
    });
    this.#emit({ type: 'memory', plan: loop.memory });
    const listed = await writeNotes(
      join(config.outputDir, 'data_notes.jsonl'),
      heldOut ? [data, heldOut] : [data],
    );
    const unprofiled =
      this.profile && device.kind !== 'wasm'
        ? `--profile measures the kernels of device wasm, but this run is on ${device.kind}: there will be no profile`
        : '';
    for (const message of [replacing, ...data.warnings, ...(heldOut?.warnings ?? []), listed, unprofiled])
      if (message !== '') this.#emit({ type: 'warning', message });
    this.#warn(watch.once(warnings));

    const metrics = await openLogs(config, resumed ? { resumeAfter: loop.position.step } : {});
    const evaluate = async (): Promise<void> => {
      const { step } = loop.position;
      if (!evaluator || this.#evaluatedAt === step) return;
      const evaluation = await evaluator.evaluate(step, { onProgress: this.#progress, signal });
      const best = this.#best.see(evaluation);
      this.#emit({ type: 'evaluation', evaluation: best ? { ...evaluation, best } : evaluation });
      if (step > 0) await metrics.append(evaluationLine(evaluation, loop.epoch));
    };

    try {
      signal.throwIfAborted();
      if (!resumed) await evaluate();
      const stopped = await untilAborted(signal, async () => {
        const { step, position } = loop.position;
        if (resumed && this.#evaluationDue(step, position.index === 0)) await evaluate();
        const settleAfter = (at: number, epochEnd: boolean) =>
          this.#evaluationDue(at, epochEnd) || this.#saveDue(at, epochEnd);
        this.profile?.begin();
        if (!this.#best.exhausted)
          for await (const result of loop.steps({ settleAfter, signal })) {
            this.profile?.end(result.step, result.seconds);
            await this.#afterStep(result, loop, metrics, watch, evaluate, data.rows.length);
            if (this.#best.exhausted) break;
            this.profile?.begin();
          }
        signal.throwIfAborted();
        await evaluate();
      });
      if (stopped) await this.#checkpoint(loop, data.rows.length);
      await this.#finish(loop, stopped, metrics.path);
    } finally {
      await metrics.close();
      loop.dispose();
    }
  }

  /** The last step that was evaluated, before a resume too. */
  get #evaluatedAt(): number {
    return this.record.evaluations.at(-1)?.step ?? -1;
  }

  /** Whether an evaluation belongs to a step; a run stopped in the middle of one makes up for it when it resumes. */
  #evaluationDue(step: number, epochEnd: boolean): boolean {
    return isDue(this.config.evalStrategy, this.config.evalSteps, step, epochEnd);
  }

  #saveDue(step: number, epochEnd: boolean): boolean {
    return isDue(this.config.saveStrategy, this.config.saveSteps, step, epochEnd);
  }

  /** Loads a checkpoint where one is asked for; the reference has been computed from the original weights by then. */
  async #resume(loop: TrainingLoop, rows: number): Promise<boolean> {
    const { config, session, tuned } = this;
    if (config.resumeFromCheckpoint === null) return false;
    const resumed = await resumeRun(config, session, tuned, loop, rows);
    this.window = resumed.window;
    this.record = resumed.record;
    for (const evaluation of resumed.record.evaluations) this.#best.see(evaluation);
    if (config.loadBestModelAtEnd && this.#best.best)
      await openCheckpoint(config.outputDir, this.#bestPath(this.#best.best));
    return true;
  }

  async #afterStep(
    result: StepResult,
    loop: TrainingLoop,
    metrics: MetricsWriter,
    watch: RunWatch,
    evaluate: () => Promise<void>,
    rows: number,
  ): Promise<void> {
    const { config, window } = this;
    const { step, seconds, tokens, epochEnd } = result;
    window.addStep(result);
    this.#emit({ type: 'step', step, seconds, tokens, metrics: metricsOf(result) });

    const log = async (): Promise<void> => {
      const line = window.take(step);
      await metrics.append(line);
      this.#emit({ type: 'log', line });
      this.#warn(watch.see(line));
    };
    const last = step === loop.totalSteps;
    if (step % config.loggingSteps === 0 || last) await log();
    if (this.#evaluationDue(step, epochEnd)) await evaluate();
    const early = !last && this.#best.exhausted;
    if (early) {
      this.record.early = true;
      if (window.steps > 0) await log();
    }
    const best = config.loadBestModelAtEnd && this.#best.best?.step === step;
    if (best || this.#saveDue(step, epochEnd) || ((last || early) && config.saveStrategy !== 'no')) {
      await metrics.sync();
      await this.#checkpoint(loop, rows);
    }
  }

  async #checkpoint(loop: TrainingLoop, rows: number): Promise<void> {
    const { config, session, tuned, window, record } = this;
    const began = performance.now();
    const seconds = this.#seconds();
    const { path, bytes } = await checkpointRun(config, session, tuned, loop, {
      window,
      record,
      rows,
      seconds,
      best: config.loadBestModelAtEnd ? this.#best.best?.step : undefined,
    });
    const { step } = loop.position;
    this.#emit({ type: 'checkpoint', step, path, bytes, seconds: (performance.now() - began) / 1000 });
  }

  #seconds(): number {
    return (performance.now() - this.began) / 1000;
  }

  #bestPath({ step }: BestEvaluation): string {
    return join(this.config.outputDir, `checkpoint-${step}`);
  }

  /** Puts the best evaluation's weights in the place of the last ones, where that is asked for. */
  async #loadBest(step: number): Promise<BestEvaluation | undefined> {
    const { config, tuned } = this;
    const { best, disappointment } = this.#best;
    if (!config.loadBestModelAtEnd || !best) return undefined;
    if (best.step !== step) {
      const { path } = await openCheckpoint(config.outputDir, this.#bestPath(best));
      await tuned.restore(path);
    }
    if (disappointment !== undefined) this.#emit({ type: 'warning', message: disappointment });
    return best;
  }

  /** The final model and the report. */
  async #finish(loop: TrainingLoop, stopped: boolean, metricsPath: string): Promise<void> {
    const { config, tuned } = this;
    const { step } = loop.position;
    const reportPath = join(config.outputDir, 'report.html');
    const best = stopped ? undefined : await this.#loadBest(step);
    if (!stopped) await saveFiles(config.outputDir, tuned.files());
    const summary = this.session.device.kind === 'wasm' ? this.profile?.summary : undefined;
    const profilePath = join(config.outputDir, 'profile.json');
    if (this.profile && summary) {
      await writeFile(profilePath, this.profile.trace());
      this.#emit({ type: 'profile', summary });
    }
    this.#emit({
      type: 'end',
      status: stopped ? 'stopped' : 'done',
      step,
      seconds: this.#seconds(),
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
    await writeFile(`${reportPath}.partial`, renderReport(this.record));
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
