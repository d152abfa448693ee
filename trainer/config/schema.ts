import { z } from 'zod';

/*
 * One entry per key, in camelCase. The description completes the sentence "…, expected <description>";
 * keys that stay undefined get their defaults in defaults.ts.
 */

const integer = (least: number, description: string) => z.int().min(least).describe(description);
const optionalInteger = (least: number) =>
  z.int().min(least).nullable().describe(`a whole number of at least ${least}, or null`);
const positive = () => z.number().gt(0).describe('a number above 0');
const nonNegative = () => z.number().min(0).describe('a number of at least 0');
const share = (description = 'a number from 0 to below 1') => z.number().min(0).lt(1).describe(description);
const flag = () => z.boolean().describe('true or false');
const path = (of: string) => z.string().min(1).describe(`the path of ${of}`);
const optionalPath = (of: string) => z.string().min(1).nullable().describe(`the path of ${of}, or null`);
const oneOf = <const Names extends readonly [string, ...string[]]>(names: Names, extra = '') =>
  z.enum(names).describe(`${listed(names)}${extra}`);

/** `a, b or c`. */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1) ?? ''}`;
}

/** `false` is what YAML 1.1 readers make of `no`. */
const noIfFalse = (value: unknown) => (value === false ? 'no' : value);
const when = () => z.preprocess(noIfFalse, z.enum(['no', 'steps', 'epoch'])).describe('no, steps or epoch');

const listOfOne = (value: unknown) => (typeof value === 'string' ? [value] : value);

/** TRL's and PyTorch's spellings of the three optimizers. */
const optimizers = {
  adamw: 'adamw',
  adamw_torch: 'adamw',
  adamw_torch_fused: 'adamw',
  rmsprop: 'rmsprop',
  sgd: 'sgd',
} as const;

export const hpoShape = {
  /** Fills every key that is not given with the paper's value (hpo.md). */
  preset: z.enum(['paper']).nullable().describe('paper or null'),
  /** The preference loss L_pref: a method, or what `lossType` may name. */
  base: z
    .preprocess(listOfOne, z.array(z.string()).min(1))
    .describe('dpo, kto, or the name of a loss, or a list of names'),
  /** γ, the weight of L_actor. */
  gamma: nonNegative(),
  /** λ in exp(λ A). */
  lambda: nonNegative(),
  /** τ of the expectile regression. */
  tau: z.number().gt(0).lt(1).describe('a number between 0 and 1'),
  /** The largest exp(λ A); null for no limit. */
  weightClip: z.number().gt(0).nullable().describe('a number above 0, or null'),
  /** c_V, the weight of L_V. */
  valueCoefficient: nonNegative(),
  valueLearningRate: nonNegative(),
  /** A safetensors file whose value head training starts from. */
  valueHead: optionalPath('a safetensors file'),
  /** Dropout between the value head's layers. */
  valueDropout: share(),
  /** L_actor is off for this many optimizer steps. */
  actorWarmupSteps: integer(0, 'a whole number of at least 0'),
  actorReduction: z
    .preprocess((value) => (value === 'token_mean' ? 'tokenMean' : value), z.enum(['tokenMean', 'sum']))
    .describe('token_mean or sum'),
};

const names = () => z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).nullable();
const numbersByName = () =>
  z.record(z.string(), z.number().gt(0)).describe('a mapping of names of layers to numbers above 0');

/** Names and meanings are PEFT's (LoraConfig). */
export const loraShape = {
  r: integer(1, 'a whole number of at least 1'),
  loraAlpha: positive(),
  loraDropout: share(),
  useRslora: flag(),
  useDora: flag(),
  targetModules: names().describe('a list of names of layers, a regular expression, all-linear, or null'),
  excludeModules: names().describe('a list of names of layers, a regular expression, or null'),
  layersToTransform: z.array(z.int().min(0)).nullable().describe('a list of numbers of blocks, or null'),
  rankPattern: numbersByName(),
  alphaPattern: numbersByName(),
  /** Biases stay as they are. */
  bias: oneOf(['none']),
  taskType: oneOf(['CAUSAL_LM']),
  adapter: optionalPath("a folder in PEFT's layout"),
};

export const samplingShape = {
  /** How many held-out prompts get a completion at each evaluation; 0 for none. */
  prompts: integer(0, 'a whole number of at least 0'),
  maxNewTokens: integer(1, 'a whole number of at least 1'),
  /** 0 takes the likeliest token each time. */
  temperature: nonNegative(),
  topK: optionalInteger(1),
  topP: z.number().gt(0).max(1).describe('a number above 0 and at most 1'),
};

/** What every entry of `rewards` may carry; further keys are the options of the built-in reward, or of the endpoint. */
export const rewardShape = {
  name: z.string().min(1).describe('the name of a reward'),
  module: path('a JavaScript module'),
  url: z
    .string()
    .regex(/^https?:\/\/[^/]/)
    .describe('an http:// or https:// address'),
  column: z.string().min(1).describe('the name of a column of the data'),
  weight: z.number().describe('a number'),
  normalize: oneOf(['none', 'standardize']),
  cache: flag(),
};

/** What every entry of `data` may carry. */
export const dataShape = {
  path: z.string().min(1).describe('the path or https:// address of a data file'),
  weight: z.number().gt(0).describe('a number above 0'),
};

const dataFile = 'the path or https:// address of a .jsonl, .json, .csv, .tsv or .parquet file';

/** One file, or a list of files: each entry a path, or a mapping. */
const dataFiles = z.preprocess(
  (value) => {
    const entries: unknown = typeof value === 'string' && value !== '' ? [value] : value;
    if (!Array.isArray(entries)) return value;
    return entries.map((entry: unknown) =>
      typeof entry === 'string' && entry !== '' ? { path: entry } : entry,
    );
  },
  z.array(z.looseObject(dataShape).partial({ weight: true })).min(1),
);

export const settingsShape = {
  /** A folder in Hugging Face's layout, a .gguf file, or a hub id. */
  model: z.string().min(1).describe('a model folder, a .gguf file or a hub id'),
  /** The training rows. */
  data: dataFiles.describe(`${dataFile}, or a list of such files`),
  /** Held-out rows. */
  evalData: dataFiles.nullable().describe(`${dataFile}, a list of such files, or null`),
  outputDir: path('a folder'),

  method: oneOf(['dpo', 'kto', 'sft', 'hpo']),
  lossType: z
    .preprocess(listOfOne, z.array(z.string()).min(1))
    .describe('the name of a loss, or a list of names'),
  lossWeights: z.array(z.number()).min(1).nullable().describe('a list of numbers, one per loss, or null'),
  beta: nonNegative(),
  labelSmoothing: z.number().min(0).lt(0.5).describe('a number from 0 to below 0.5'),
  fDivergenceType: oneOf(['reverse_kl', 'forward_kl', 'js_divergence', 'alpha_divergence']),
  fAlphaDivergenceCoef: z.number().describe('a number'),
  useWeighting: flag(),
  ldAlpha: z.number().min(0).max(1).nullable().describe('a number from 0 to 1, or null'),
  discopopTau: positive(),
  desirableWeight: nonNegative(),
  undesirableWeight: nonNegative(),
  simpoGamma: z.number().describe('a number'),
  cpoAlpha: nonNegative(),
  /** SFT: the loss covers the completion alone; false adds the prompt. */
  completionOnlyLoss: z.preprocess((value) => value ?? true, z.boolean()).describe('true or false'),

  /** Prompt and completion together, in tokens; null for no limit. */
  maxLength: optionalInteger(2),
  /** What goes when a row is longer: the completion's end, or the prompt's start. */
  truncation: oneOf(['keep_start', 'keep_completion']),
  addBos: flag(),

  perDeviceTrainBatchSize: integer(1, 'a whole number of at least 1'),
  perDeviceEvalBatchSize: integer(1, 'a whole number of at least 1'),
  gradientAccumulationSteps: integer(1, 'a whole number of at least 1'),
  trainSamplingStrategy: oneOf(['random', 'sequential']),
  numTrainEpochs: positive(),
  /** Optimizer steps; -1 leaves the length of the run to `numTrainEpochs`. */
  maxSteps: z
    .int()
    .refine((value) => value === -1 || value >= 1)
    .describe('a whole number of at least 1, or -1 for num_train_epochs'),

  optim: z
    .preprocess(
      (value) => {
        const match = Object.entries(optimizers).find(([spelling]) => spelling === value);
        return match === undefined ? value : match[1];
      },
      z.enum(['adamw', 'rmsprop', 'sgd']),
    )
    .describe(listed(Object.keys(optimizers))),
  /** What AdamW's two moments, or RMSprop's one, are kept in. */
  optimStateDtype: oneOf(['float32', 'bfloat16']),
  learningRate: nonNegative(),
  lrSchedulerType: oneOf(['linear', 'cosine', 'constant', 'constant_with_warmup']),
  /** Whole steps, or below 1 a share of all steps (see `warmupStepCount`). */
  warmupSteps: z
    .number()
    .min(0)
    .refine((value) => value < 1 || Number.isInteger(value))
    .describe('a whole number of steps, or a share of all steps below 1'),
  /** Transformers' older spelling of `warmupSteps` below 1; it ends up there. */
  warmupRatio: share(),
  adamBeta1: share(),
  adamBeta2: share(),
  adamEpsilon: positive(),
  weightDecay: nonNegative(),
  /** Global norm that gradients are clipped at; 0 for no clipping. */
  maxGradNorm: nonNegative(),
  gradientCheckpointing: flag().nullable().describe('true, false or null'),

  seed: integer(0, 'a whole number of at least 0'),
  device: oneOf(['auto', 'webgpu', 'wasm', 'reference']),
  /** Threads of the WebAssembly backend; null for one per core. */
  threads: optionalInteger(1),

  loggingSteps: integer(1, 'a whole number of at least 1'),
  saveStrategy: when(),
  saveSteps: integer(1, 'a whole number of at least 1'),
  saveTotalLimit: optionalInteger(1),
  evalStrategy: when(),
  /** null takes `loggingSteps`. */
  evalSteps: optionalInteger(1),
  /** Evaluations in a row without a better `metricForBestModel` that end the run; null never ends it early. */
  earlyStoppingPatience: optionalInteger(1),
  /** By how much the metric has to be better to count for that. */
  earlyStoppingThreshold: nonNegative(),
  /** Whether the best evaluation's checkpoint is kept, and becomes the final model. */
  loadBestModelAtEnd: flag(),
  /** A metric of evaluations, with or without `eval_`; null takes the loss. */
  metricForBestModel: z.string().min(1).nullable().describe('the name of a metric of evaluations, or null'),
  /** null: unless its name ends in `loss`. */
  greaterIsBetter: z.boolean().nullable().describe('true, false or null'),
  /** TensorBoard's event files beside metrics.jsonl. */
  reportTo: z
    .preprocess(
      // Transformers takes a list too, and an empty one for none.
      (value) => (Array.isArray(value) && value.length < 2 ? ((value[0] ?? 'none') as unknown) : value),
      z.enum(['tensorboard', 'none']),
    )
    .describe('tensorboard or none'),
  /** Start anew where `outputDir` holds a run that has not ended, and delete its checkpoints. */
  overwriteOutputDir: flag(),
  /** A checkpoint's folder, or true for the last one in `outputDir`. */
  resumeFromCheckpoint: z
    .union([z.string().min(1), z.boolean(), z.null()])
    .describe("a checkpoint's folder, true for the last one, or null"),

  lora: z.object(loraShape).partial().nullable().describe('a mapping, or null'),
  hpo: z.object(hpoShape).partial().describe('a mapping'),
  sampling: z.object(samplingShape).partial().describe('a mapping'),
  rewards: z
    .array(z.looseObject(rewardShape).partial())
    .describe('a list of mappings, each with a name, a module, a url or a column'),
};

/** Keys that hold further keys. */
export const sections = { hpo: hpoShape, lora: loraShape, sampling: samplingShape };

export const settingsSchema = z.object(settingsShape).partial();

/** What was given, checked key by key and without defaults. */
export type GivenSettings = z.infer<typeof settingsSchema>;
