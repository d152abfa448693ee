import { commonDefaults } from './defaults.ts';
import type { GivenSettings } from './schema.ts';
import { lossMistakes, needsKl } from './losses.ts';
import { show } from './sentences.ts';
import { toSnake } from './spelling.ts';
import type { TrainSettings } from './types.ts';

/** Keys of the contract that this version cannot honour: only their default is let through. */
const notYet = ['lora'] as const;

/** Options that exist but not in this version: nothing is accepted and then ignored. */
export function unavailable(given: GivenSettings): string[] {
  const mistakes: string[] = [];
  const values: Readonly<Record<string, unknown>> = given;
  const defaults: Readonly<Record<string, unknown>> = commonDefaults;
  for (const key of notYet) {
    const value = values[key];
    if (value === undefined || value === defaults[key]) continue;
    mistakes.push(
      `${toSnake(key)}: ${show(value)} is not available yet in prefgrad 0.1; leave it at ${show(defaults[key])}`,
    );
  }
  return mistakes;
}

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
  if (said('evalSteps') && settings.evalStrategy !== 'steps') {
    mistakes.push(`eval_steps: needs eval_strategy: steps, but that is ${settings.evalStrategy}`);
  }
  return mistakes;
}
