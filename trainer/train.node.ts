import { readFile, writeFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Variable } from '../engine/index.ts';
import { openFileSource } from '../models/files/source.node.ts';
import { openSafetensors } from '../models/files/safetensors.ts';
import { writeSafetensors } from '../models/files/safetensorsWriter.ts';
import type { SavedModel } from '../models/files/save.node.ts';
import { saveModelFiles, savedFiles } from '../models/files/save.node.ts';
import { loadWeights } from '../models/model.ts';
import { fileCache } from './cache.node.ts';
import { openCheckpoint, recoverCheckpoints, writeCheckpoint } from './checkpoint.node.ts';
import type { TrainConfig } from './config.ts';
import { loadRows } from './data/load.node.ts';
import { Random } from './data/random.ts';
import type { TokenizedCompletion, TokenizedRow } from './data/tokenized.ts';
import { completionsOf } from './data/tokenized.ts';
import { environmentOf, methodOf } from './describe.node.ts';
import { Evaluator, targetsOf } from './evaluation.ts';
import type { Phase, TrainEvent } from './events.ts';
import { evaluationLine } from './events.ts';
import type { Rewarded } from './losses/hpo.ts';
import type { Loss } from './losses/loss.ts';
import { meanOf } from './losses/loss.ts';
import { makeLoss } from './makeLoss.ts';
import { MetricsWindow, nonFinite } from './metrics.ts';
import { openMetrics } from './metrics.node.ts';
import { checkOutputFolder } from './outputFolder.node.ts';
import { referenceLogps } from './reference.ts';
import type { RunRecord } from './report/record.ts';
import { emptyRecord, recordEvent, restoreRecord, saveRecord } from './report/record.ts';
import type { Reward, RewardResult } from './rewards/index.ts';
import { computeRewards, createRewards } from './rewards/index.ts';
import { parseRunState, runState } from './runState.ts';
import type { Session } from './session.node.ts';
import { openSession, stopTokensOf } from './session.node.ts';
import type { StepResult } from './trainer.ts';
import { Trainer } from './trainer.ts';
import { ValueHead } from './valueHead.ts';

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
  const session = await openSession({ ...config, maxPositions: positionsFor(config), onProgress });
  try {
    await new Run(config, session, signal, onEvent, began).run();
  } finally {
    await session.dispose();
  }
}

/** Rows of rotary tables: what training and sampling reach, where max_length bounds it. */
function positionsFor({ maxLength, sampling }: TrainConfig): number | undefined {
  return maxLength === null ? undefined : maxLength + sampling.maxNewTokens;
}

/** Where the loss's numbers come from, besides the model. */
interface Prepared {
  readonly loss: Loss;
  readonly rewards: readonly Reward[];
  readonly normalization: RewardResult['normalization'];
}

class Run {
  record: RunRecord = emptyRecord();
  window = new MetricsWindow();

  constructor(
    private readonly config: TrainConfig,
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
    const data = await loadRows(config.data, tokenizer, model, config, 'train');
    const heldOut =
      config.evalData === null
        ? undefined
        : await loadRows(config.evalData, tokenizer, model, config, 'evaluate');
    const prepared = await this.#prepare(data.rows);
    const references = await this.#references(prepared.loss, [...data.rows, ...(heldOut?.rows ?? [])]);
    const referenceOf = (row: TokenizedRow) => references.get(row) ?? [];
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

    this.#emit({
      type: 'start',
      model: config.model,
      method: methodOf(config),
      parameters: model.parameters.reduce((n, p) => n + p.variable.type.shape.reduce((a, b) => a * b, 1), 0),
      trainableParameters: model.parameters.reduce(
        (n, p) => n + p.variable.type.shape.reduce((a, b) => a * b, 1),
        0,
      ),
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
    for (const message of [...data.warnings, ...(heldOut?.warnings ?? [])])
      this.#emit({ type: 'warning', message });

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
        if (resumed) await this.#evaluateWhereDue(trainer, evaluate);
        for await (const result of trainer.steps()) {
          await this.#afterStep(result, trainer, metrics, evaluate, data.rows.length);
          signal.throwIfAborted();
        }
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

  /** The evaluation that belongs to the step just done; a run stopped in the middle of one makes up for it. */
  async #evaluateWhereDue(trainer: Trainer, evaluate: () => Promise<void>): Promise<void> {
    const { evalStrategy, evalSteps } = this.config;
    const { step, position } = trainer.position;
    if (isDue(evalStrategy, evalSteps, step, position.index === 0)) await evaluate();
  }

  /** The loss, and for HPO its rewards (computed now, before the first step) and its value head. */
  async #prepare(rows: readonly TokenizedRow[]): Promise<Prepared> {
    const { config, session } = this;
    const rewards = await createRewards(config.rewards);
    const none: RewardResult['normalization'] = new Map();
    if (config.method !== 'hpo') return { loss: makeLoss(config), rewards, normalization: none };

    const targets = rows.flatMap(targetsOf);
    const { scores, total, normalization } = await computeRewards(targets, rewards, {
      onProgress: ({ done, total: all }) => this.#progress('rewards', done, all),
    });
    const rewarded = new Map<TokenizedCompletion, Rewarded>();
    rows.flatMap(completionsOf).forEach((completion, i) => {
      const each = Object.fromEntries([...scores].map(([name, values]) => [name, values[i] ?? NaN]));
      rewarded.set(completion, { total: total[i] ?? NaN, each });
    });
    const rewardOf = (completion: TokenizedCompletion): Rewarded => {
      const found = rewarded.get(completion);
      if (found === undefined) throw new Error('a completion of the training data has no reward');
      return found;
    };
    const { model, device } = session;
    const valueHead = new ValueHead(model.hiddenSize, config.hpo.valueDropout);
    const { valueHead: path } = config.hpo;
    const random = new Random(config.seed, VALUE_HEAD_STREAM);
    await valueHead.start(
      device,
      path === null
        ? { uniform: () => random.uniform(), mean: meanOf([...total]) }
        : { weights: await readTensors(path) },
    );
    return { loss: makeLoss(config, { valueHead, rewardOf }), rewards, normalization };
  }

  async #references(
    loss: Loss,
    rows: readonly TokenizedRow[],
  ): Promise<Map<TokenizedRow, readonly number[]>> {
    const { model, device, weightsHash } = this.session;
    const sequences = rows.map((row) => loss.sequence(row));
    if (!loss.usesReference)
      return new Map(rows.map((row, i) => [row, sequences[i]?.completions.map(() => 0) ?? []]));
    const logps = await referenceLogps(model, device, sequences, {
      cache: fileCache('reference'),
      weightsHash,
      onProgress: (done, total) => this.#progress('reference', done, total),
      signal: this.signal,
    });
    return new Map(rows.map((row, i) => [row, logps[i] ?? []]));
  }

  /** Loads a checkpoint where one is asked for; the reference has been computed from the original weights by then. */
  async #resume(trainer: Trainer, rows: number): Promise<boolean> {
    const { config, session } = this;
    if (config.resumeFromCheckpoint === null) return false;
    const { path } = await openCheckpoint(config.outputDir, config.resumeFromCheckpoint);
    const text = (name: string) => readFile(join(path, name), 'utf8');
    const state = parseRunState(await text('state.json'), join(path, 'state.json'), config, rows);
    const weights = await openSafetensors(await openFileSource(join(path, 'model.safetensors')));
    await loadWeights(session.model, weights, session.device).finally(() => weights.close());
    const read = await readTensors(join(path, 'training.safetensors'));
    for (const variable of trainer.state) session.device.write(variable, await read(variable.name));
    trainer.resume(state.position);
    this.window = MetricsWindow.from(state.window);
    this.record = restoreRecord(await text('record.json'), join(path, 'record.json'));
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
    await this.#evaluateWhereDue(trainer, evaluate);
    const due = isDue(config.saveStrategy, config.saveSteps, step, epochEnd);
    if (due || (last && config.saveStrategy !== 'no')) {
      await metrics.sync();
      await this.#checkpoint(trainer, rows);
    }
  }

  async #checkpoint(trainer: Trainer, rows: number): Promise<void> {
    const { config, session } = this;
    const began = performance.now();
    const { step } = trainer.position;
    const text = (name: string, content: string) => ({
      name,
      write: (sink: { write(bytes: Uint8Array): Promise<void> }) =>
        sink.write(new TextEncoder().encode(content)),
    });
    const state = runState(trainer.position, this.window.state, config, rows);
    const checkpoint = await writeCheckpoint(
      config.outputDir,
      step,
      [
        ...savedFiles(savedModel(session)),
        {
          name: 'training.safetensors',
          write: (sink) =>
            writeSafetensors(
              sink,
              trainer.state.map((v) => ({ ...entryOf(v, session), dtype: 'F32' as const })),
            ),
        },
        text('state.json', JSON.stringify(state)),
        text('record.json', saveRecord(this.record, this.#seconds())),
      ],
      config.saveTotalLimit === null ? {} : { saveTotalLimit: config.saveTotalLimit },
    );
    const bytes = Object.values(checkpoint.manifest.files).reduce((n, f) => n + f.bytes, 0);
    this.#emit({
      type: 'checkpoint',
      step,
      path: checkpoint.path,
      bytes,
      seconds: (performance.now() - began) / 1000,
    });
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

/** Tells the value head's random numbers from those of the data's order. */
const VALUE_HEAD_STREAM = 0x76616c75;

/** L_pref alone: what held-out rows, whose rewards are no training targets, are measured by. */
const makeBase = (config: TrainConfig): Loss => makeLoss({ ...config, method: config.hpo.base });

const entryOf = (variable: Variable, { device }: Session) => ({
  name: variable.name,
  shape: variable.type.shape,
  data: async () => Float32Array.from(await device.read(variable)),
});

function savedModel(session: Session): SavedModel {
  const { files, tokenizer, model } = session;
  return {
    config: files.config,
    generationConfig: files.generationConfig,
    tokenizer,
    tensors: model.parameters.map((p) => entryOf(p.variable, session)),
  };
}

async function readTensors(path: string): Promise<(name: string) => Promise<Float32Array>> {
  const file = await openSafetensors(await openFileSource(path));
  const tensors = new Map<string, Float32Array>();
  for (const name of file.tensorNames()) tensors.set(name, await file.read(name));
  await file.close();
  return (name) => {
    const numbers = tensors.get(name);
    return numbers ? Promise.resolve(numbers) : file.read(name);
  };
}
