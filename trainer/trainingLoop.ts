import type { Device, Variable } from '../engine/index.ts';
import { PrefgradError, bytesOf, format } from '../engine/index.ts';
import type { LanguageModel } from '../models/model.ts';
import { optimizerSteps, warmupStepCount } from './config.ts';
import type { TrainSettings } from './config.ts';
import type { Batch, BatchPosition } from './data/batches.ts';
import { batches } from './data/batches.ts';
import { checkRows } from './data/modelLimits.ts';
import type { TokenizedRow } from './data/tokenized.ts';
import type { MemoryPlan } from './events.ts';
import type { Loss } from './losses/loss.ts';
import type { StepMetrics } from './metrics.ts';
import { Optimizer } from './optimizer.ts';
import { capacityOf } from './pack.ts';
import { scheduleFactor } from './schedule.ts';
import type { Microbatch } from './step.ts';
import { LossProgram, microbatch, weightsOf } from './step.ts';

export interface TrainingLoopOptions {
  readonly model: LanguageModel;
  readonly device: Device;
  readonly loss: Loss;
  readonly rows: readonly TokenizedRow[];
  /** Reference log-probs of a row's completions, in the order of the loss's sequence; unused by some losses. */
  readonly referenceOf: (row: TokenizedRow) => readonly number[];
  readonly settings: TrainSettings;
  /** Compute norms and activations again instead of keeping them: less memory, a few percent of time. Default true. */
  readonly recompute?: boolean | undefined;
}

/** Where a run is between two steps; with the variables of `state`, all that a checkpoint needs. */
export interface TrainingPosition {
  /** Optimizer steps done. */
  readonly step: number;
  readonly position: BatchPosition;
  /** Tokens of prompts and completions so far, as TRL counts them: a pair's prompt twice. */
  readonly tokensSeen: number;
}

export interface StepsOptions {
  /** Whether the caller looks at the model after this step (and end of an epoch). By default it may after any. */
  readonly settleAfter?: (step: number, epochEnd: boolean) => boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface StepResult {
  /** Optimizer steps done, this one included. */
  readonly step: number;
  /** Metrics of each microbatch, and of the step as a whole. */
  readonly microbatches: readonly StepMetrics[];
  readonly metrics: StepMetrics;
  /** Tokens that the model computed. */
  readonly tokens: number;
  readonly seconds: number;
  /** Whether an epoch ended with this step. */
  readonly epochEnd: boolean;
}

/** The training loop: one optimizer step after the other, whatever the loss. */
export class TrainingLoop {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly warmupSteps: number;
  /** When the last step's results came. */
  #lastEnd = 0;
  #position: TrainingPosition = { step: 0, position: { epoch: 0, index: 0 }, tokensSeen: 0 };

  private constructor(
    private readonly options: TrainingLoopOptions,
    private readonly optimizer: Optimizer,
    private readonly program: LossProgram,
  ) {
    const { settings, rows } = options;
    const { total, perEpoch } = optimizerSteps(settings, rows.length);
    this.totalSteps = total;
    this.stepsPerEpoch = perEpoch;
    this.warmupSteps =
      settings.lrSchedulerType === 'constant' ? 0 : warmupStepCount(settings.warmupSteps, total);
  }

  /**
   * Traces and places the programs; the memory of the whole run is known, and taken, when it resolves. Errors: rows
   * that the model or the loss cannot take, named; more memory than there is, in bytes.
   */
  static async create(options: TrainingLoopOptions): Promise<TrainingLoop> {
    const { model, loss, device, rows, settings } = options;
    checkRows(rows, model);
    const packed = model.parameters.find((p) => p.variable.type.blocks !== undefined)?.variable;
    if (packed)
      throw new PrefgradError(
        `${packed.name} is ${format(packed.type)}, which cannot be trained; load the model without \`frozen\`, or train adapters on it`,
      );
    const groups = [
      { name: 'model', parameters: model.parameters },
      ...(loss.parameters ? [{ name: 'value', parameters: loss.parameters }] : []),
    ];
    const optimizer = new Optimizer(groups, {
      name: settings.optim,
      weightDecay: settings.weightDecay,
      beta1: settings.adamBeta1,
      beta2: settings.adamBeta2,
      epsilon: settings.adamEpsilon,
      maxGradNorm: settings.maxGradNorm,
      state: settings.optimStateDtype === 'bfloat16' ? 'bf16' : 'f32',
      seed: settings.seed,
    });
    const sequences = rows.map((row) => loss.sequence(row));
    const capacity = capacityOf(sequences, settings.perDeviceTrainBatchSize);
    let program: LossProgram | undefined;
    try {
      program = await LossProgram.load(model, loss, capacity, device, {
        optimizer,
        seed: settings.seed,
        recompute: options.recompute,
        checkpoints: settings.gradientCheckpointing ?? (model.frozen === undefined ? false : 'auto'),
      });
      await optimizer.load(device);
      const loop = new TrainingLoop(options, optimizer, program);
      loop.#checkBatches();
      return loop;
    } catch (error) {
      program?.dispose();
      optimizer.dispose(device);
      throw error;
    }
  }

  /** Asks the loss about every batch of the run, so that one it cannot take is known before the first step. */
  #checkBatches(): void {
    const { loss, settings } = this.options;
    if (loss.checkBatch === undefined) return;
    const source = this.#batches({ epoch: 0, index: 0 });
    for (let step = 0; step < this.totalSteps; step++)
      for (const { rows } of nextStep(source, settings)) loss.checkBatch(rows);
  }

  #batches(start: BatchPosition): Generator<Batch<TokenizedRow>, void, undefined> {
    const { rows, settings } = this.options;
    const { perDeviceTrainBatchSize: batchSize, trainSamplingStrategy: strategy, seed } = settings;
    return batches(rows, { batchSize, strategy, seed, start });
  }

  /** Bytes of the run, before its first step. */
  get memory(): MemoryPlan {
    const bytes = (variables: readonly Variable[]) => variables.reduce((n, v) => n + bytesOf(v.type), 0);
    const trained = this.optimizer.parameters.map((p) => p.variable);
    const parts = {
      parameters: bytes([...(this.options.model.frozen ?? []), ...trained]),
      gradients: bytes(this.optimizer.gradients),
      optimizer: bytes(this.optimizer.moments),
      arena: this.program.arenaBytes,
    };
    return { ...parts, total: Object.values(parts).reduce((a, b) => a + b, 0), ...this.program.choices };
  }

  /** Epochs done, with the share of the present one. */
  get epoch(): number {
    const { epoch, index } = this.#position.position;
    return epoch + index / this.options.rows.length;
  }

  get position(): TrainingPosition {
    return this.#position;
  }

  /** Goes on from a position whose variables have been written to the device. */
  resume(position: TrainingPosition): void {
    this.#position = position;
    this.optimizer.steps = position.step;
  }

  /** What a checkpoint keeps beside the model's weights: moments, and the loss's own parameters. */
  get state(): readonly Variable[] {
    return [...(this.options.loss.parameters ?? []).map((p) => p.variable), ...this.optimizer.moments];
  }

  /**
   * The steps that are left, in order, each once its results are back; on a device that works ahead (device.lag) the
   * next ones are under way by then, and `position` is the last one's. Where `settleAfter` says so, none is until
   * the caller has seen the step and its model. An aborted signal: no further step begins.
   */
  async *steps({ settleAfter = () => true, signal }: StepsOptions = {}): AsyncGenerator<
    StepResult,
    void,
    undefined
  > {
    const source = this.#batches(this.#position.position);
    const { lag } = this.options.device;
    const underWay: Promise<StepResult>[] = [];
    let settle = false;
    for (;;) {
      const more = this.#position.step < this.totalSteps && signal?.aborted !== true;
      if (more && (underWay.length === 0 || (underWay.length <= lag && !settle))) {
        const step = this.#begin(nextStep(source, this.options.settings));
        // It is awaited in its turn; until then a failure is nobody's.
        step.catch(() => {});
        underWay.push(step);
        settle = settleAfter(this.#position.step, this.#position.position.index === 0);
        continue;
      }
      const next = underWay.shift();
      if (next === undefined) return;
      yield await next;
    }
  }

  /** Gives the device all of a step's work before anything is awaited. */
  async #begin(step: readonly Batch<TokenizedRow>[]): Promise<StepResult> {
    const began = performance.now();
    const { loss, referenceOf, settings } = this.options;
    const number = this.#position.step + 1;
    const all = step.map((batch) => microbatch(batch.rows, loss, referenceOf));
    const weights = weightsOf(all, loss);
    const runs = all.map((batch, i) => this.program.run(batch, weights[i] ?? 0, number, i));
    const factor = scheduleFactor(settings.lrSchedulerType, number - 1, this.warmupSteps, this.totalSteps);
    const rates = { model: settings.learningRate * factor, value: settings.hpo.valueLearningRate * factor };
    const update = this.optimizer.step(rates);

    const last = step[step.length - 1];
    const next = last?.next ?? this.#position.position;
    const tokensSeen = this.#position.tokensSeen + all.reduce((n, b) => n + countTokens(b), 0);
    this.#position = { step: number, position: next, tokensSeen };
    const { epoch } = this;

    const [results, norms] = await Promise.all([Promise.all(runs), update]);
    const ended = performance.now();
    const seconds = (ended - Math.max(began, this.#lastEnd)) / 1000;
    this.#lastEnd = ended;
    return {
      step: number,
      microbatches: results.map((r) => r.metrics),
      metrics: {
        loss: results.reduce((total, r, i) => total + (weights[i] ?? 0) * r.loss, 0),
        grad_norm: norms['model'] ?? NaN,
        learning_rate: rates.model,
        ...('value' in norms
          ? { 'grad_norm/value': norms['value'], 'learning_rate/value': rates.value }
          : {}),
        num_tokens: tokensSeen,
        epoch,
        'memory/bytes': this.options.device.memory.total,
      },
      tokens: all.reduce((n, b) => n + b.tokens, 0),
      seconds,
      epochEnd: last?.last ?? false,
    };
  }

  dispose(): void {
    this.program.dispose();
    this.optimizer.dispose(this.options.device);
  }
}

/** The batches of one optimizer step: fewer than asked where the epoch ends, as Transformers has it. */
function nextStep(
  source: Generator<Batch<TokenizedRow>, void, undefined>,
  settings: TrainSettings,
): Batch<TokenizedRow>[] {
  const step: Batch<TokenizedRow>[] = [];
  while (step.length < settings.gradientAccumulationSteps) {
    const { value } = source.next();
    if (!value) break;
    step.push(value);
    if (value.last) break;
  }
  return step;
}

function countTokens({ rows }: Microbatch): number {
  return rows.reduce((n, row) => {
    const completions = row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];
    return n + completions.reduce((m, c) => m + row.promptIds.length + c.ids.length, 0);
  }, 0);
}
