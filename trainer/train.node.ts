import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceLostError, PrefgradError, sizeOf } from '../engine/index.ts';
import { saveModelFiles } from '../models/files/save.node.ts';
import { recoverCheckpoints } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import type { FoundData } from './data/load.node.ts';
import { findRows, loadRows } from './data/load.node.ts';
import { writeNotes } from './data/notes.node.ts';
import { environmentOf, methodOf } from './describe.node.ts';
import { Evaluator } from './evaluation.ts';
import type { Phase, TrainEvent } from './events.ts';
import { evaluationLine } from './events.ts';
import type { Loss } from './losses/loss.ts';
import { makeLoss } from './makeLoss.ts';
import { MetricsWindow, nonFinite } from './metrics.ts';
import { openMetrics } from './metrics.node.ts';
import { prepareLoss, prepareReferences } from './prepare.node.ts';
import type { RunRecord } from './report/record.ts';
import { emptyRecord, recordEvent } from './report/record.ts';
import { checkOutputFolder } from './outputFolder.node.ts';
import { checkpointRun, resumeRun, savedModel } from './runCheckpoint.node.ts';
import type { Session } from './session.node.ts';
import { openSession, stopTokensOf } from './session.node.ts';
import type { StepResult } from './trainer.ts';
import { Trainer } from './trainer.ts';

export interface TrainHooks {
  /** Aborted: the step ends, a checkpoint is saved, and the run ends as `stopped`. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: TrainEvent) => void;
}

/** A whole run from a configuration: everything that it says is read, trained and written. */
export async function train(config: TrainConfig, { signal, onEvent }: TrainHooks): Promise<void> {
  const began = performance.now();
  const onProgress = (phase: Phase, done: number, total: number) =>
    onEvent({ type: 'progress', phase, done, total });
  await checkOutputFolder(config.outputDir);
  await recoverCheckpoints(config.outputDir);
  const reading = { signal, onProgress: (done: number, total: number) => onProgress('data', done, total) };
  const files: DataFiles = {
    train: await findRows(config.data, reading),
    heldOut: config.evalData === null ? undefined : await findRows(config.evalData, reading),
  };
  const session = await openSession({ ...config, maxPositions: positionsFor(config), onProgress });
  try {
    await new Run(config, files, session, signal, onEvent, began).run();
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

  constructor(
    private readonly config: TrainConfig,
    private readonly files: DataFiles,
    private readonly session: Session,
    private readonly signal: AbortSignal,
    private readonly listener: (event: TrainEvent) => void,
    private readonly began: number,
  ) {}

  #emit(event: TrainEvent): void {
    recordEvent(this.record, event);
    this.listener(event);
  }

  readonly #progress = (phase: Phase, done: number, total: number): void =>
    this.#emit({ type: 'progress', phase, done, total });

  async run(): Promise<void> {
    const { config, session, signal } = this;
    const { model, device, tokenizer } = session;
    const load = (data: FoundData, purpose: 'train' | 'evaluate') =>
      loadRows(data, tokenizer, model, config, purpose, {
        signal,
        onProgress: (done, total) => this.#progress('data', done, total),
      });
    const data = await load(this.files.train, 'train');
    const heldOut = this.files.heldOut && (await load(this.files.heldOut, 'evaluate'));
    const prepared = await prepareLoss(config, session, data.rows, this.#progress, signal);
    const all = [...data.rows, ...(heldOut?.rows ?? [])];
    const referenceOf = await prepareReferences(session, prepared.loss, all, this.#progress, signal);
    const { loss } = prepared;
    const trainer = await Trainer.create({
      model,
      device,
      loss,
      rows: data.rows,
      referenceOf,
      settings: config,
    });
    const resumed = await this.#resume(trainer, data.rows.length);

    const parameters = model.parameters.reduce((n, p) => n + sizeOf(p.variable.type.shape), 0);
    this.#emit({
      type: 'start',
      model: config.model,
      method: methodOf(config),
      parameters,
      trainableParameters: parameters,
      totalSteps: trainer.totalSteps,
      firstStep: trainer.position.step,
      warmupSteps: trainer.warmupSteps,
      ...(config.method === 'hpo' ? { actorWarmupSteps: config.hpo.actorWarmupSteps } : {}),
      data: { train: data.rows.length, heldOut: heldOut?.rows.length ?? 0, leftOut: data.leftOut.length },
      rewards: config.rewards.map(({ name, weight }) => ({ name, weight })),
      device: device.description,
      config: { ...config },
      environment: environmentOf(),
      startedAt: new Date().toISOString(),
    });
    this.#emit({ type: 'memory', plan: trainer.memory });
    const listed = await writeNotes(
      join(config.outputDir, 'data_notes.jsonl'),
      heldOut ? [data, heldOut] : [data],
    );
    for (const message of [...data.warnings, ...(heldOut?.warnings ?? []), listed])
      if (message !== '') this.#emit({ type: 'warning', message });

    const metricsPath = join(config.outputDir, 'metrics.jsonl');
    const metrics = await openMetrics(metricsPath, resumed ? { resumeAfter: trainer.position.step } : {});
    const evaluator =
      heldOut &&
      new Evaluator({
        model,
        device,
        tokenizer,
        rows: heldOut.rows,
        loss: { loss: config.method === 'hpo' ? makeBase(config) : loss, referenceOf },
        batchSize: config.perDeviceEvalBatchSize,
        rewards: prepared.rewards,
        normalization: prepared.normalization,
        sampling: config.sampling,
        stopTokens: stopTokensOf(session),
        seed: config.seed,
      });
    const evaluate = async (): Promise<void> => {
      const { step } = trainer.position;
      if (!evaluator || this.#evaluatedAt === step) return;
      const evaluation = await evaluator.evaluate(step, { onProgress: this.#progress, signal });
      this.#emit({ type: 'evaluation', evaluation });
      if (step > 0) await metrics.append(evaluationLine(evaluation, trainer.epoch));
    };

    try {
      signal.throwIfAborted();
      if (!resumed) await evaluate();
      const stopped = await untilAborted(signal, async () => {
        const { step, position } = trainer.position;
        if (resumed && this.#evaluationDue(step, position.index === 0)) await evaluate();
        const settleAfter = (at: number, epochEnd: boolean) =>
          this.#evaluationDue(at, epochEnd) || this.#saveDue(at, epochEnd);
        for await (const result of trainer.steps({ settleAfter, signal }))
          await this.#afterStep(result, trainer, metrics, evaluate, data.rows.length);
        signal.throwIfAborted();
        await evaluate();
      });
      if (stopped) await this.#checkpoint(trainer, data.rows.length);
      await this.#finish(trainer, stopped, metricsPath);
    } finally {
      await metrics.close();
      trainer.dispose();
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
  async #resume(trainer: Trainer, rows: number): Promise<boolean> {
    const { config, session } = this;
    if (config.resumeFromCheckpoint === null) return false;
    const resumed = await resumeRun(config, session, trainer, rows);
    this.window = resumed.window;
    this.record = resumed.record;
    return true;
  }

  async #afterStep(
    result: StepResult,
    trainer: Trainer,
    metrics: Awaited<ReturnType<typeof openMetrics>>,
    evaluate: () => Promise<void>,
    rows: number,
  ): Promise<void> {
    const { config, window } = this;
    const { step, seconds, tokens, epochEnd } = result;
    for (const one of result.microbatches) window.add(one);
    window.add(result.metrics);
    window.endStep({ seconds, tokens });
    const shown = new MetricsWindow();
    for (const one of [...result.microbatches, result.metrics]) shown.add(one);
    const { step: _, ...numbers } = shown.take(step);
    this.#emit({
      type: 'step',
      step,
      seconds,
      tokens,
      metrics: Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, value ?? NaN])),
    });

    const last = step === trainer.totalSteps;
    if (step % config.loggingSteps === 0 || last) {
      const line = window.take(step);
      await metrics.append(line);
      this.#emit({ type: 'log', line });
      const bad = nonFinite(line);
      if (bad.length > 0)
        this.#emit({
          type: 'warning',
          step,
          message: `${bad.join(', ')} not finite at step ${step}; lower learning_rate?`,
        });
    }
    if (this.#evaluationDue(step, epochEnd)) await evaluate();
    if (this.#saveDue(step, epochEnd) || (last && config.saveStrategy !== 'no')) {
      await metrics.sync();
      await this.#checkpoint(trainer, rows);
    }
  }

  async #checkpoint(trainer: Trainer, rows: number): Promise<void> {
    const { config, session, window, record } = this;
    const began = performance.now();
    const seconds = this.#seconds();
    const { path, bytes } = await checkpointRun(config, session, trainer, { window, record, rows, seconds });
    const { step } = trainer.position;
    this.#emit({ type: 'checkpoint', step, path, bytes, seconds: (performance.now() - began) / 1000 });
  }

  #seconds(): number {
    return (performance.now() - this.began) / 1000;
  }

  /** The final model and the report. */
  async #finish(trainer: Trainer, stopped: boolean, metricsPath: string): Promise<void> {
    const { config, session } = this;
    const reportPath = join(config.outputDir, 'report.html');
    if (!stopped) await saveModelFiles(config.outputDir, savedModel(session));
    this.#emit({
      type: 'end',
      status: stopped ? 'stopped' : 'done',
      step: trainer.position.step,
      seconds: this.#seconds(),
      outputs: [
        ...(stopped ? [] : [{ label: 'model', path: config.outputDir }]),
        { label: 'report', path: reportPath },
        { label: 'metrics', path: metricsPath },
      ],
    });
    const { renderReport } = await import('./report/report.ts');
    await mkdir(config.outputDir, { recursive: true });
    await writeFile(`${reportPath}.partial`, renderReport(this.record));
    await rename(`${reportPath}.partial`, reportPath);
  }
}

/** Whether something that is done every so often is to be done after a step. */
function isDue(strategy: 'no' | 'steps' | 'epoch', every: number, step: number, epochEnd: boolean): boolean {
  return strategy === 'steps' ? step % every === 0 : strategy === 'epoch' && epochEnd;
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

/** L_pref alone: what held-out rows, whose rewards are no training targets, are measured by. */
const makeBase = (config: TrainConfig): Loss => makeLoss({ ...config, method: config.hpo.base });
