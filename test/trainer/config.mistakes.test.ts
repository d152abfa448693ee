import { describe, expect, it } from 'vitest';
import { knownKeys } from '../../trainer/config.ts';
import { least, mistakes } from './configMistakes.ts';

describe('mistakes', () => {
  it.each([
    ['lerning_rate', 'learning_rate'],
    ['learningRte', 'learning_rate'],
    ['batch_size', 'save_steps'],
    ['gamma', 'hpo.gamma'],
    ['target_modules', 'lora.target_modules'],
    ['lora_r', 'lora.r'],
    ['constructor', 'data'],
    ['__proto__x', 'hpo'],
  ])('%s names a nearest key', (key) => {
    const [sentence] = mistakes({ ...least, method: 'dpo', [key]: 1 });
    const named = /^c\.yaml: (\S+): is no key of the configuration; did you mean (\S+)\?$/.exec(
      sentence ?? '',
    );
    expect(named?.[1]).toBe(key);
    expect(knownKeys()).toContain(named?.[2]);
  });

  it('name the key that was meant', () => {
    expect(
      mistakes({
        ...least,
        method: 'hpo',
        lerning_rate: 1,
        gamma: 1,
        hpo: { gama: 1, weightclip: 3 },
        rewards: [{ name: 'length' }],
      }),
    ).toEqual([
      'c.yaml: lerning_rate: is no key of the configuration; did you mean learning_rate?',
      'c.yaml: gamma: is no key of the configuration; did you mean hpo.gamma?',
      'c.yaml: hpo.gama: is no key of the configuration; did you mean hpo.gamma?',
      'c.yaml: hpo.weightclip: is no key of the configuration; did you mean hpo.weight_clip?',
    ]);
  });

  it("say why a key of TRL's is not one here", () => {
    expect(mistakes({ ...least, method: 'dpo', bf16: true })).toEqual([
      'c.yaml: bf16: is a key of TRL that prefgrad does not need: prefgrad computes in float32; leave it out',
    ]);
  });

  it('of type and range give key, value and expectation', () => {
    expect(
      mistakes({
        ...least,
        method: 'hpo',
        learning_rate: 'fast',
        max_steps: 0,
        beta: null,
        optim: 'adam',
        warmup_steps: 2.5,
        hpo: { tau: 2, base: 7 },
        rewards: [{ name: 'length', weight: 'heavy' }],
      }),
    ).toEqual([
      'c.yaml: beta: got null, expected a number of at least 0',
      'c.yaml: max_steps: got 0, expected a whole number of at least 1, or -1 for num_train_epochs',
      'c.yaml: optim: got "adam", expected adamw, adamw_torch, adamw_torch_fused, rmsprop or sgd',
      'c.yaml: learning_rate: got "fast", expected a number of at least 0',
      'c.yaml: warmup_steps: got 2.5, expected a whole number of steps, or a share of all steps below 1',
      'c.yaml: hpo.base: got 7, expected dpo, kto, or the name of a loss, or a list of names',
      'c.yaml: hpo.tau: got 2, expected a number between 0 and 1',
      'c.yaml: rewards[0].weight: got "heavy", expected a number',
    ]);
  });

  it('are found where keys are missing', () => {
    expect(mistakes({})).toEqual([
      'c.yaml: model: is missing, expected a model folder, a .gguf file or a hub id',
      'c.yaml: data: is missing, expected the path or https:// address of a .jsonl, .json, .csv, .tsv or .parquet file, or a list of such files',
      'c.yaml: method: is missing, expected dpo, kto, sft or hpo',
    ]);
  });

  it.each([[null], [3], ['text'], [[1]]])('%j is no configuration', (input) => {
    expect(mistakes(input)).toEqual([expect.stringContaining('expected a mapping of keys to values')]);
  });
});

describe('keys that another method reads', () => {
  it('are let through at their defaults', () => {
    const config = {
      ...least,
      method: 'dpo',
      label_smoothing: 0,
      f_divergence_type: 'reverse_kl',
      f_alpha_divergence_coef: 0.5,
      use_weighting: false,
      ld_alpha: null,
      discopop_tau: 0.05,
      simpo_gamma: 0.5,
      cpo_alpha: 1,
      lora: null,
      loss_weights: [1],
    };
    expect(mistakes(config)).toEqual([]);
  });
});

describe('contradictions', () => {
  const rewards = [{ name: 'length' }];
  it.each([
    [{ method: 'hpo' }, 'rewards: method hpo needs at least one'],
    [{ method: 'dpo', rewards }, 'rewards: are read by method hpo, but method is dpo'],
    [{ method: 'dpo', hpo: {} }, 'hpo: is read by method hpo'],
    [{ method: 'dpo', eval_strategy: 'steps' }, 'eval_strategy: steps needs eval_data'],
    [{ method: 'dpo', eval_data: 'e', eval_steps: 5 }, 'eval_steps: needs eval_strategy: steps'],
    [
      { method: 'dpo', desirable_weight: 2 },
      'desirable_weight: is read by loss_type kto or apo_zero_unpaired',
    ],
    [{ method: 'hpo', rewards, undesirable_weight: 2 }, 'undesirable_weight: is read by loss_type kto or'],
    [{ method: 'sft', beta: 0.2 }, 'beta: is read by method dpo'],
    [{ method: 'kto', completion_only_loss: false }, 'completion_only_loss: is read by method sft'],
    [{ method: 'kto', per_device_train_batch_size: 1 }, 'per_device_train_batch_size: KTO needs at least 2'],
    [
      { method: 'hpo', rewards, hpo: { base: 'kto' }, per_device_train_batch_size: 1 },
      'KTO needs at least 2',
    ],
    [{ method: 'dpo', warmup_steps: 5, warmup_ratio: 0.1 }, 'warmup_steps and warmup_ratio: both are given'],
    [{ method: 'dpo', optim: 'sgd', adam_beta1: 0.5 }, 'adam_beta1: belongs to AdamW, but optim is sgd'],
    [{ method: 'dpo', optim: 'sgd', optim_state_dtype: 'bfloat16' }, 'optim_state_dtype: optim sgd keeps no'],
    [{ method: 'kto', loss_type: 'sigmoid' }, 'loss_type: sigmoid is no loss of method kto'],
    [{ method: 'dpo', loss_type: 'sigmoit' }, 'did you mean sigmoid?'],
  ])('%j', (keys, sentence) => {
    expect(mistakes({ ...least, ...keys })).toEqual([expect.stringContaining(sentence)]);
  });

  it('are none where methods agree', () => {
    const kto = { desirable_weight: 2, per_device_train_batch_size: 2 };
    expect(mistakes({ ...least, method: 'kto', ...kto })).toEqual([]);
    expect(mistakes({ ...least, method: 'hpo', hpo: { base: 'kto' }, rewards, ...kto })).toEqual([]);
    expect(mistakes({ ...least, method: 'dpo', per_device_train_batch_size: 1 })).toEqual([]);
    expect(
      mistakes({ ...least, method: 'dpo', eval_data: 'e', eval_strategy: 'steps', eval_steps: 5 }),
    ).toEqual([]);
  });
});
