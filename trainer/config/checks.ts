import { commonDefaults } from './defaults.ts';
import type { GivenSettings } from './schema.ts';
import { lossMistakes, needsKl } from './losses.ts';
import { toSnake } from './spelling.ts';
import type { TrainSettings } from './types.ts';

/** Keys that only some methods read; given for another method with a value of their own, they are mistakes. */
const owners: readonly [keyof TrainSettings, (settings: TrainSettings) => boolean, string][] = [
  ['beta', ({ method }) => method !== 'sft', 'dpo, kto and hpo'],
  ['completionOnlyLoss', ({ method }) => method === 'sft', 'sft'],
];

/** Settings that contradict each other, as sentences. */
export function contradictions(settings: TrainSettings, given: GivenSettings): string[] {
  const { method } = settings;
  const mistakes = lossMistakes(settings, method);
  const defaults: Readonly<Record<string, unknown>> = commonDefaults;
  const said = (key: keyof GivenSettings) => given[key] !== undefined && given[key] !== defaults[key];

  for (const [key, reads, methods] of owners) {
    if (settings[key] !== defaults[key] && !reads(settings)) {
      mistakes.push(`${toSnake(key)}: is read by method ${methods}, but method is ${method}; leave it out`);
    }
  }
  if (method !== 'hpo' && given.hpo !== undefined) {
    mistakes.push(`hpo: is read by method hpo, but method is ${method}; leave it out, or set method: hpo`);
  }
  if (method === 'hpo' && settings.rewards.length === 0) {
    mistakes.push(
      'rewards: method hpo needs at least one; name a built-in (rewards: [{name: reading_level}]) or give the module of your own',
    );
  }
  if (method !== 'hpo' && settings.rewards.length > 0) {
    mistakes.push(
      `rewards: are read by method hpo, but method is ${method}; leave them out, or set method: hpo`,
    );
  }
  if (needsKl(settings) && settings.perDeviceTrainBatchSize < 2) {
    mistakes.push(
      'per_device_train_batch_size: KTO needs at least 2, since its KL term takes completions of other prompts in the batch',
    );
  }
  if (said('warmupSteps') && said('warmupRatio')) {
    mistakes.push('warmup_steps and warmup_ratio: both are given; keep one');
  }
  for (const key of ['adamBeta1', 'adamBeta2', 'adamEpsilon'] as const) {
    if (settings.optim !== 'adamw' && said(key)) {
      mistakes.push(`${toSnake(key)}: belongs to AdamW, but optim is ${settings.optim}; leave it out`);
    }
  }
  if (settings.optim === 'sgd' && said('optimStateDtype'))
    mistakes.push('optim_state_dtype: optim sgd keeps no state; leave it out');
  if (said('evalSteps') && settings.evalStrategy !== 'steps') {
    mistakes.push(`eval_steps: needs eval_strategy: steps, but that is ${settings.evalStrategy}`);
  }
  mistakes.push(...bestModelMistakes(settings, said));
  if (settings.overwriteOutputDir && settings.resumeFromCheckpoint !== null)
    mistakes.push('overwrite_output_dir and resume_from_checkpoint: contradict each other; keep one');
  return mistakes;
}

/** Early stopping and the best model live on evaluations. */
function bestModelMistakes(settings: TrainSettings, said: (key: keyof GivenSettings) => boolean): string[] {
  const watching = (['earlyStoppingPatience', 'loadBestModelAtEnd'] as const).filter(said);
  if (watching.length > 0)
    return settings.evalStrategy === 'no'
      ? watching.map(
          (key) => `${toSnake(key)}: needs evaluations; set eval_data and eval_strategy: steps or epoch`,
        )
      : said('earlyStoppingThreshold') && !said('earlyStoppingPatience')
        ? ['early_stopping_threshold: needs early_stopping_patience; give that too']
        : [];
  return (['metricForBestModel', 'greaterIsBetter', 'earlyStoppingThreshold'] as const)
    .filter(said)
    .map(
      (key) =>
        `${toSnake(key)}: needs early_stopping_patience or load_best_model_at_end; give one of them, or leave it out`,
    );
}
