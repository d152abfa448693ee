import type { LoraConfig } from '../../models/lora/config.ts';
import type { RewardConfig } from '../rewards/reward.ts';

export type Method = 'dpo' | 'kto' | 'sft' | 'hpo';

/** Hybrid Preference Optimization (../shared/hpo.md, arXiv 2405.17956). */
export interface HpoSettings {
  preset: 'paper' | null;
  /** Which losses `lossType` names L_pref of: on pairs, or on judged completions. */
  base: 'dpo' | 'kto';
  /** γ, the weight of L_actor. */
  gamma: number;
  /** λ in exp(λ A). */
  lambda: number;
  /** τ of the expectile regression. */
  tau: number;
  /** The largest exp(λ A); null for no limit. */
  weightClip: number | null;
  /** c_V, the weight of L_V. */
  valueCoefficient: number;
  valueLearningRate: number;
  /** A safetensors file whose value head training starts from. */
  valueHead: string | null;
  /** Dropout between the value head's layers. */
  valueDropout: number;
  /** L_actor is off for this many optimizer steps. */
  actorWarmupSteps: number;
  actorReduction: 'tokenMean' | 'sum';
}

/** Adapters that are trained in place of the model: what is given of PEFT's settings, the rest being PEFT's defaults. */
export interface LoraSettings extends Partial<LoraConfig> {
  /** A folder of PEFT's to start from; what it says is then not given here, but for the dropout. */
  adapter: string | null;
}

/** How completions are sampled for the report and the evaluation of auxiliary rewards. */
export interface SamplingSettings {
  /** How many held-out prompts get a completion; 0 for none. */
  prompts: number;
  maxNewTokens: number;
  /** 0 takes the likeliest token each time. */
  temperature: number;
  topK: number | null;
  topP: number;
}

/** What preference losses are made of; names and defaults are TRL's. */
export interface LossSettings {
  /** One loss, or several of those on pairs; `nll` is SFT's. See losses/registry.ts. */
  lossType: string[];
  /** One for each loss; null for 1 each. */
  lossWeights: number[] | null;
  beta: number;
  labelSmoothing: number;
  fDivergenceType: 'reverse_kl' | 'forward_kl' | 'js_divergence' | 'alpha_divergence';
  fAlphaDivergenceCoef: number;
  /** WPO. */
  useWeighting: boolean;
  /** LD-DPO's α; null for none. */
  ldAlpha: number | null;
  discopopTau: number;
  desirableWeight: number;
  undesirableWeight: number;
  simpoGamma: number;
  cpoAlpha: number;
}

/**
 * A training run without its files: what a program passes that holds the model and the rows itself.
 * Names and defaults are TRL's; steps are optimizer steps, lengths are tokens.
 */
export interface TrainSettings extends LossSettings {
  method: Method;
  /** SFT: the loss covers the completion alone; false adds the prompt. */
  completionOnlyLoss: boolean;

  /** Prompt and completion together, in tokens; null for no limit. */
  maxLength: number | null;
  /** What goes when a row is longer: the completion's end, or the prompt's start. */
  truncation: 'keep_start' | 'keep_completion';
  addBos: boolean;

  perDeviceTrainBatchSize: number;
  perDeviceEvalBatchSize: number;
  gradientAccumulationSteps: number;
  trainSamplingStrategy: 'random' | 'sequential';
  numTrainEpochs: number;
  /** -1 leaves the length of the run to `numTrainEpochs`. */
  maxSteps: number;

  optim: 'adamw' | 'rmsprop' | 'sgd';
  /**
   * What AdamW's two moments, or RMSprop's one, are kept in. bfloat16 halves them: a full fine-tuning of SmolLM2-135M
   * takes 1.68 GiB instead of 2.18. Updates are computed in float32, and what is kept is rounded at random, since v
   * would stall if it were rounded to nearest (MomentType of engine/ops/optimizer.ts); seeds still decide every bit.
   * What it costs, measured: 12 steps of DPO on SmolLM2-135M had losses within 6e-6 of float32's; after 200 steps of
   * HPO on examples/stories (three seeds) the held-out loss was 0.436 both ways and the accuracy 87.5 % for 88.6 %,
   * one or two pairs of 120, where seeds differ by nine; the update itself takes up to a tenth longer.
   */
  optimStateDtype: 'float32' | 'bfloat16';
  learningRate: number;
  /** `constant` has no warm-up, as in Transformers. */
  lrSchedulerType: 'linear' | 'cosine' | 'constant' | 'constant_with_warmup';
  /** Whole steps, or below 1 a share of all steps: see `warmupStepCount`. */
  warmupSteps: number;
  adamBeta1: number;
  adamBeta2: number;
  adamEpsilon: number;
  weightDecay: number;
  /** Global norm that gradients are clipped at; 0 for no clipping. */
  maxGradNorm: number;
  /** Compute a model's blocks again instead of keeping what is in them; null: with LoRA, where it saves much. */
  gradientCheckpointing: boolean | null;

  seed: number;
  device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  /** Threads of the WebAssembly backend; null for one per core. */
  threads: number | null;

  loggingSteps: number;
  saveStrategy: 'no' | 'steps' | 'epoch';
  saveSteps: number;
  /** Older checkpoints beyond this number are deleted; null keeps all. */
  saveTotalLimit: number | null;
  evalStrategy: 'no' | 'steps' | 'epoch';
  evalSteps: number;
  /** Evaluations in a row without a better `metricForBestModel` that end the run; null never ends it early. */
  earlyStoppingPatience: number | null;
  /** By how much the metric has to be better to count for that. */
  earlyStoppingThreshold: number;
  /** Whether the best evaluation's checkpoint is kept, and becomes the final model. */
  loadBestModelAtEnd: boolean;
  /** A metric of evaluations, with or without `eval_`; null takes the loss. */
  metricForBestModel: string | null;
  /** null: unless its name ends in `loss`. */
  greaterIsBetter: boolean | null;
  /** TensorBoard's event files beside metrics.jsonl. */
  reportTo: 'tensorboard' | 'none';
  /** Start anew where `outputDir` holds a run that has not ended, and delete its checkpoints. */
  overwriteOutputDir: boolean;
  /** A checkpoint's folder, or true for the last one in `outputDir`. */
  resumeFromCheckpoint: string | true | null;

  /** Read by method hpo alone. */
  hpo: HpoSettings;
  sampling: SamplingSettings;
  rewards: RewardConfig[];
}

/** One file of a run's data. */
export interface DataPart {
  /** A path or an https:// address. */
  path: string;
  /** Its share of an epoch beside the other weights; null where files are read one after the other. */
  weight: number | null;
}

/** A training run from files: what `prefgrad train CONFIG.yaml` runs. */
export interface TrainConfig extends TrainSettings {
  /** A folder in Hugging Face's layout, a .gguf file, or a hub id. */
  model: string;
  /** A path or an https:// address, or several. */
  data: string | DataPart[];
  /** The same without weights. */
  evalData: string | DataPart[] | null;
  outputDir: string;
  /** null trains the whole model. */
  lora: LoraSettings | null;
}
