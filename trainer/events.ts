import type { ProfileSummary } from '../engine/index.ts';
import { finite, type MetricsLine, type StepMetrics } from './metrics.ts';

/** What a run is, known before its first step. All of it is plain JSON, so that a report can keep it. */
export interface RunStart {
  /** The model as the user named it. */
  model: string;
  /** What is trained, in a few words: `hpo on dpo`, `dpo (sigmoid)`, `kto`, `sft`. */
  method: string;
  parameters: number;
  trainableParameters: number;
  /** Optimizer steps of the whole run, and those done before it (0, or the step resumed from). */
  totalSteps: number;
  firstStep: number;
  /** The step at which the schedule's warm-up ends (0 for none). */
  warmupSteps: number;
  /** The last step without HPO's actor loss; undefined where the method has none. */
  actorWarmupSteps?: number;
  /** Rows that are trained on, held out, and left out because their prompt alone fills max_length. */
  data: { train: number; heldOut: number; leftOut: number };
  rewards: { name: string; weight: number }[];
  device: string;
  threads?: number;
  /** The whole configuration with its defaults filled in, under TRL's snake_case names. */
  config: Record<string, unknown>;
  /** Versions and hardware, for the report: `{ prefgrad: '0.1.0', runtime: 'Node 20.20.2', … }`. */
  environment: Record<string, string | number | boolean>;
  /** ISO 8601, when the run (or this part of it) began. */
  startedAt: string;
}

/** The memory plan, in bytes, known before the first step. */
export interface MemoryPlan {
  parameters: number;
  gradients: number;
  optimizer: number;
  /** Everything that lives for one step only, in one arena. */
  arena: number;
  total: number;
  /** The gradient finds the logits of a microbatch in memory. */
  logitsKept: boolean;
  /** The gradient computes blocks of the model again (`gradient_checkpointing`). */
  blocksRecomputed: boolean;
}

/** A completion the model wrote for a held-out prompt. */
export interface Sample {
  prompt: string;
  completion: string;
  /** Each auxiliary reward by name; null where it was not finite. */
  rewards: Record<string, number | null>;
  /** Whether it ended because of the limit on new tokens, not by EOS. */
  truncated?: boolean;
}

/** One reward's means: over the held-out pairs' two sides, and over sampled completions. */
export interface AuxiliaryMeans {
  chosen?: number | null;
  rejected?: number | null;
  sampled?: number | null;
  /** Sampled completions that the reward had no number for, where there are some; the mean leaves them out. */
  failed?: number;
}

/** The model at one moment, measured on held-out pairs and on what it writes itself. */
export interface Evaluation {
  step: number;
  /** Held-out pairs behind `accuracy` and `margin`. */
  pairs: number;
  /**
   * Fraction of held-out pairs whose chosen completion the model gives the higher log-probability (summed over
   * the completion's tokens). Unlike `rewards/accuracies` it needs no reference, so it is defined before the first step too.
   */
  accuracy?: number | null;
  /** Mean over the pairs of log p(chosen) − log p(rejected), in nats. */
  margin?: number | null;
  /** TRL's metrics on the held-out rows, without the `eval_` prefix (`loss`, `rewards/accuracies`, …). */
  metrics: Readonly<Record<string, number | null>>;
  /** By reward; the total R = Σ w r is under `total` where there are several. */
  auxiliary: Record<string, AuxiliaryMeans>;
  samples?: Sample[];
  /** Whether its `metric_for_best_model` is better than those before; where a run looks for the best. */
  best?: boolean;
}

/** The evaluation whose metric was the best. */
export interface BestEvaluation {
  step: number;
  /** The metric's name in metrics.jsonl, such as `eval_loss`. */
  metric: string;
  value: number;
}

/** Parts of a run that take a while before or between steps. */
export type Phase = 'data' | 'load' | 'rewards' | 'reference' | 'evaluate' | 'sample' | 'save';

/** How a run ended. */
export interface RunEnd {
  status: 'done' | 'stopped';
  step: number;
  /** Wall time of this run in seconds, loading included. */
  seconds: number;
  /** What was written, in the order a user wants to see it: `{ label: 'model', path: 'runs/x' }`. */
  outputs: { label: string; path: string }[];
  /** The evaluation whose checkpoint became the final model (`load_best_model_at_end`). */
  best?: BestEvaluation;
  /** Why the run ended before its last step, though nobody stopped it. */
  early?: string;
}

/** What a run tells while it works, in this order: load, start, memory, then the rest as it comes, and end. */
export type TrainEvent =
  | { type: 'progress'; phase: Phase; done: number; total: number }
  | ({ type: 'start' } & RunStart)
  | { type: 'memory'; plan: MemoryPlan }
  /** Each optimizer step, as soon as its numbers are read back. */
  | { type: 'step'; step: number; metrics: StepMetrics; seconds: number; tokens: number }
  /** Each line of metrics.jsonl. */
  | { type: 'log'; line: MetricsLine }
  /** The first is the model before training, the last is the model after it. */
  | { type: 'evaluation'; evaluation: Evaluation }
  | { type: 'checkpoint'; step: number; path: string; bytes: number; seconds: number }
  | { type: 'warning'; message: string; step?: number; code?: string }
  /** Before the end, where it was asked for and the device can tell. */
  | { type: 'profile'; summary: ProfileSummary }
  | ({ type: 'end' } & RunEnd);

/**
 * An evaluation's line in metrics.jsonl, each name with Transformers' prefix: `eval_loss`,
 * `eval_rewards/accuracies`, `eval_accuracy`, `eval_margin`, `eval_auxiliary/<reward>/<chosen|rejected|sampled>`.
 */
export function evaluationLine(evaluation: Evaluation, epoch?: number): MetricsLine {
  const line: MetricsLine = { step: evaluation.step };
  const put = (name: string, value: number | null | undefined) => {
    if (value !== undefined) line[name] = value === null ? null : finite(value);
  };
  put('epoch', epoch);
  for (const [name, value] of Object.entries(evaluation.metrics)) put(`eval_${name}`, value);
  put('eval_accuracy', evaluation.accuracy);
  put('eval_margin', evaluation.margin);
  for (const [name, { chosen, rejected, sampled }] of Object.entries(evaluation.auxiliary)) {
    put(`eval_auxiliary/${name}/chosen`, chosen);
    put(`eval_auxiliary/${name}/rejected`, rejected);
    put(`eval_auxiliary/${name}/sampled`, sampled);
  }
  return line;
}
