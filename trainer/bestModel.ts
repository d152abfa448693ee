import { PrefgradError } from '../engine/errors.ts';
import type { TrainSettings } from './config.ts';
import type { BestEvaluation, Evaluation } from './events.ts';
import { evaluationLine } from './events.ts';

type BestModelSettings = Pick<
  TrainSettings,
  | 'earlyStoppingPatience'
  | 'earlyStoppingThreshold'
  | 'loadBestModelAtEnd'
  | 'metricForBestModel'
  | 'greaterIsBetter'
>;

/**
 * Finds the best evaluation after training began, and says when a run should end early, as Transformers does: an
 * evaluation is the best where its metric is better than all before; it resets the patience where it is better than
 * the best before by more than the threshold. A metric that is not finite is never better.
 */
export class BestModel {
  /** Whether the settings ask for either. */
  readonly wanted: boolean;
  readonly #metric: string;
  readonly #greater: boolean;
  #best: BestEvaluation | undefined;
  /** The model before training. */
  #start: number | undefined;
  #waited = 0;

  constructor(private readonly settings: BestModelSettings) {
    const name = settings.metricForBestModel ?? 'loss';
    this.#metric = name.startsWith('eval_') ? name : `eval_${name}`;
    this.#greater = settings.greaterIsBetter ?? !name.endsWith('loss');
    this.wanted = settings.loadBestModelAtEnd || settings.earlyStoppingPatience !== null;
  }

  get best(): BestEvaluation | undefined {
    return this.#best;
  }

  /** Whether the patience is exhausted. */
  get exhausted(): boolean {
    const { earlyStoppingPatience: patience } = this.settings;
    return patience !== null && this.#waited >= patience;
  }

  /** Why a run ends early, for the user. */
  get reason(): string {
    const { step, value } = this.#best ?? { step: 0, value: NaN };
    return `no evaluation since step ${step} (${this.#metric} ${shown(value)}) was better, early_stopping_patience ${this.settings.earlyStoppingPatience}`;
  }

  /** Takes the next evaluation; whether it is the best so far. Errors: it has not that metric. */
  see(evaluation: Evaluation): boolean {
    if (!this.wanted) return false;
    const line = evaluationLine(evaluation);
    const value = line[this.#metric];
    if (value === undefined) {
      const names = Object.keys(line).filter((name) => name.startsWith('eval_'));
      throw new PrefgradError(
        `metric_for_best_model: evaluations have no ${this.#metric}, only ${names.join(', ')}; name one of these`,
      );
    }
    if (evaluation.step === 0) {
      this.#start = value ?? undefined;
      return false;
    }
    const gain = this.#gain(value, this.#best?.value);
    this.#waited = gain > this.settings.earlyStoppingThreshold ? 0 : this.#waited + 1;
    if (value === null || gain <= 0) return false;
    this.#best = { step: evaluation.step, metric: this.#metric, value };
    return true;
  }

  /** A sentence where the best model is no better than the one before training, by this metric. */
  get disappointment(): string | undefined {
    const { settings } = this;
    if (!settings.loadBestModelAtEnd || !this.#best || this.#start === undefined) return undefined;
    if (this.#gain(this.#best.value, this.#start) > 0) return undefined;
    return (
      `the best ${this.#metric}, ${shown(this.#best.value)} at step ${this.#best.step}, is no better than before training ` +
      `(${shown(this.#start)}); lower learning_rate, or choose another metric_for_best_model`
    );
  }

  /** How much better a value is; above 0 for any first finite one, below for what is not finite. */
  #gain(value: number | null, than: number | undefined): number {
    if (value === null) return -Infinity;
    if (than === undefined) return Infinity;
    return this.#greater ? value - than : than - value;
  }
}

const shown = (value: number) => String(Number(value.toPrecision(4)));
