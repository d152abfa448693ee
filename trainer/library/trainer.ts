import { PrefgradError } from '../../engine/errors.ts';
import type { WrittenDtype } from '../../models/files/safetensorsWriter.ts';
import { BestModel } from '../bestModel.ts';
import type { Evaluation, MemoryPlan, Phase } from '../events.ts';
import type { MetricsLine } from '../metrics.ts';
import { MetricsWindow, metricsOf } from '../metrics.ts';
import type { PreparedRun } from '../prepareRun.ts';
import { isDue, prepareRun } from '../prepareRun.ts';
import type { RewardCache } from '../rewards/cache.ts';
import type { NamedBlobs } from '../session.ts';
import { openTuned } from '../tuned.ts';
import type { DataInput } from './data.ts';
import { openData } from './data.ts';
import type { Metrics } from './metrics.ts';
import { typedMetrics } from './metrics.ts';
import { loadModel, Model } from './model.ts';
import type { CheckedSettings, TrainerSettings } from './settings.ts';
import { checkSettings } from './settings.ts';

/** Called as a run goes on; what they return is awaited. */
export interface TrainerCallbacks {
  /** Each optimizer step. */
  readonly onStep?: (step: TrainingStep) => unknown;
  /** Every `loggingSteps` steps and after the last: means since the line before, as in metrics.jsonl. */
  readonly onLog?: (line: MetricsLine) => unknown;
  readonly onEvaluate?: (evaluation: Evaluation) => unknown;
  /** What a user should know: rows left out, rewards that pull against the preferences, a loss that is NaN. */
  readonly onWarning?: (message: string) => void;
  /** What takes a while beside the steps: reading data, loading weights, the reference's log-probs, evaluations. */
  readonly onProgress?: (phase: Phase, done: number, total: number) => void;
}

/** What a `Trainer` is made of: TRL's settings in camelCase beside a model and rows. */
export interface TrainerOptions extends TrainerSettings {
  /** The model, which is trained in place; or what `loadModel` takes in Node, with `device` and `threads`. */
  readonly model: Model | string;
  /** The training rows. */
  readonly data: DataInput;
  /** Held-out rows, measured after the last step, by `evalStrategy` between steps, and by `evaluate()`. */
  readonly evalData?: DataInput;
  readonly callbacks?: TrainerCallbacks;
  /** Aborted: the step under way ends, and the run with it; the model is what that step left. */
  readonly signal?: AbortSignal;
  /** Keeps scores of rewards between runs; `memoryCache()` for one that lives as long as the program. */
  readonly rewardCache?: RewardCache;
}

/** One optimizer step that is done. */
export interface TrainingStep {
  /** Counted from 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly metrics: Metrics;
  /** Wall time. */
  readonly seconds: number;
  /** Tokens that the model computed. */
  readonly tokens: number;
  /** Whether an epoch ended with this step. */
  readonly epochEnd: boolean;
  /** The model after this step on held-out rows, where an evaluation was due. */
  readonly evaluation?: Evaluation;
}

/** How a run ended. */
export interface TrainResult {
  /** `early`: by early stopping; `stopped`: by the signal. */
  readonly status: 'done' | 'early' | 'stopped';
  /** Optimizer steps done. */
  readonly step: number;
  /** The last evaluation, where there are held-out rows. */
  readonly evaluation?: Evaluation;
}

/** What is there once a run is prepared. */
interface Run extends PreparedRun {
  readonly model: Model;
  readonly best: BestModel;
  readonly window: MetricsWindow;
  readonly leftOut: number;
}

/**
 * Tunes a language model: DPO, KTO, SFT and what TRL calls `loss_type`, or HPO over any of them.
 *
 * ```ts
 * const trainer = new Trainer({ model, data: pairs, method: 'dpo', beta: 0.1, learningRate: 1e-5 });
 * for await (const { step, metrics } of trainer) console.log(step, metrics.loss);
 * await trainer.save('tuned');
 * ```
 */
export class Trainer implements AsyncIterable<TrainingStep> {
  readonly #options: TrainerOptions;
  readonly #settings: CheckedSettings;
  readonly #signal: AbortSignal;
  #preparing: Promise<Run> | undefined;
  #run: Run | undefined;
  #evaluation: Evaluation | undefined;
  #early = false;

  /** Checks the settings, and nothing else yet. Throws a PrefgradError with a sentence per mistake. */
  constructor(options: TrainerOptions) {
    const {
      model: _model,
      data: _data,
      evalData,
      callbacks: _callbacks,
      signal,
      rewardCache: _cache,
      ...settings
    } = options;
    this.#options = options;
    this.#settings = checkSettings(settings, evalData !== undefined);
    this.#signal = signal ?? new AbortController().signal;
  }

  /** A trainer that is prepared. */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const trainer = new Trainer(options);
    await trainer.prepare();
    return trainer;
  }

  /**
   * Everything before the first step: loads the model where it was named, reads the data, computes rewards and the
   * reference's log-probs, plans memory. The first step does it where nobody has.
   *
   * Throws a PrefgradError for data, rewards or a model that cannot be used, and the signal's reason.
   */
  async prepare(): Promise<void> {
    await this.#prepared();
  }

  /** Optimizer steps of the whole run. */
  get totalSteps(): number {
    return this.#known.loop.totalSteps;
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#run?.loop.position.step ?? 0;
  }

  /** Bytes of the run, known before its first step. */
  get memory(): MemoryPlan {
    return this.#known.loop.memory;
  }

  /** Rows that are trained on, held out, and left out because they cannot be used. */
  get rows(): { readonly train: number; readonly heldOut: number; readonly leftOut: number } {
    const { data, heldOut, leftOut } = this.#known;
    return { train: data.rows.length, heldOut: heldOut?.rows.length ?? 0, leftOut };
  }

  /** The model as it is now, adapters included. */
  get model(): Model {
    return this.#known.model;
  }

  /** The steps that are left, each once it is done. A loop that is left may be taken up again. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingStep, void, undefined> {
    const run = await this.#prepared();
    const { callbacks = {} } = this.#options;
    const { loop, watch, window, best } = run;
    const { loggingSteps, evalStrategy, evalSteps } = this.#settings.config;
    const { totalSteps } = loop;
    if (this.#early) return;
    for await (const result of loop.steps({ signal: this.#signal })) {
      const { step, seconds, tokens, epochEnd } = result;
      window.addStep(result);
      if (step % loggingSteps === 0 || step === totalSteps) {
        const line = window.take(step);
        await callbacks.onLog?.(line);
        for (const { message } of watch.see(line)) callbacks.onWarning?.(message);
      }
      const due = isDue(evalStrategy, evalSteps, step, epochEnd) || step === totalSteps;
      const evaluation = due && run.evaluator ? await this.#evaluate(run) : undefined;
      if (evaluation) {
        best.see(evaluation);
        this.#early = step < totalSteps && best.exhausted;
      }
      const done: TrainingStep = {
        ...{ step, totalSteps, seconds, tokens, epochEnd, metrics: typedMetrics(metricsOf(result)) },
        ...(evaluation ? { evaluation } : {}),
      };
      await callbacks.onStep?.(done);
      yield done;
      if (this.#early) return;
    }
  }

  /** Takes all steps that are left. */
  async train(): Promise<TrainResult> {
    const run = await this.#prepared();
    for await (const { evaluation } of this) void evaluation;
    const { step } = run.loop.position;
    const status = this.#early ? 'early' : step < run.loop.totalSteps ? 'stopped' : 'done';
    return { status, step, ...(this.#evaluation ? { evaluation: this.#evaluation } : {}) };
  }

  /** Measures the model as it is now on the held-out rows. Errors: none were given; the signal's reason. */
  async evaluate(): Promise<Evaluation> {
    return this.#evaluate(await this.#prepared());
  }

  /** Writes the model, or its adapters, as `Model.save` does. */
  async save(folder: string, options?: { readonly dtype?: WrittenDtype }): Promise<void> {
    await (await this.#prepared()).model.save(folder, options);
  }

  /** The same files in memory. */
  async files(options?: { readonly dtype?: WrittenDtype }): Promise<NamedBlobs['files']> {
    return (await this.#prepared()).model.files(options);
  }

  /** Frees what training alone needs; a model that the trainer has loaded itself goes too. */
  async dispose(): Promise<void> {
    const run = await this.#preparing?.catch(() => undefined);
    run?.loop.dispose();
    if (typeof this.#options.model === 'string') await run?.model.dispose();
  }

  get #known(): Run {
    if (this.#run === undefined)
      throw new PrefgradError(
        'the trainer is not prepared yet; await trainer.prepare(), or use Trainer.create',
      );
    return this.#run;
  }

  async #evaluate({ evaluator, loop }: Run): Promise<Evaluation> {
    if (evaluator === undefined)
      throw new PrefgradError('there are no held-out rows to evaluate on; give the trainer evalData');
    const { callbacks = {} } = this.#options;
    const hooks = { onProgress: callbacks.onProgress, signal: this.#signal };
    const evaluation = await evaluator.evaluate(loop.position.step, hooks);
    this.#evaluation = evaluation;
    await callbacks.onEvaluate?.(evaluation);
    return evaluation;
  }

  #prepared(): Promise<Run> {
    return (this.#preparing ??= this.#prepare());
  }

  async #prepare(): Promise<Run> {
    const { model: given, data, evalData, callbacks = {}, rewardCache } = this.#options;
    const { config, rewards } = this.#settings;
    const signal = this.#signal;
    const onProgress = (phase: Phase, done: number, total: number) =>
      callbacks.onProgress?.(phase, done, total);
    signal.throwIfAborted();
    const reading = { signal, onProgress: (done: number, total: number) => onProgress('data', done, total) };
    const found = await openData(data, 'data', reading);
    const heldOut = evalData === undefined ? undefined : await openData(evalData, 'evalData', reading);
    const { device, threads, maxLength, sampling } = config;
    const positions = maxLength === null ? undefined : maxLength + sampling.maxNewTokens;
    const base =
      typeof given === 'string'
        ? await loadModel(given, {
            ...{ device, threads: threads ?? undefined, maxLength: positions, onProgress },
            frozen: config.lora !== null,
          })
        : given;
    try {
      const { session } = base;
      const tuned = await openTuned({ ...config, model: base.name }, session);
      const prepared = await prepareRun({
        ...{ settings: config, session, model: tuned.model, data: found, heldOut },
        ...{ rewards: await rewards(), rewardCache, onProgress, signal },
      });
      const texts = [...prepared.data.warnings, ...(prepared.heldOut?.warnings ?? [])];
      for (const text of [...texts, ...prepared.warnings.map(({ message }) => message)])
        callbacks.onWarning?.(text);
      const model =
        config.lora === null ? base : new Model({ ...session, model: tuned.model }, () => tuned.files());
      this.#run = {
        ...{ ...prepared, model, best: new BestModel(config), window: new MetricsWindow() },
        leftOut: prepared.data.leftOut.length,
      };
      return this.#run;
    } catch (error) {
      if (typeof given === 'string') await base.dispose();
      throw error;
    }
  }
}
