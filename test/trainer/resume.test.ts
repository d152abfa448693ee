import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../trainer/events.ts';
import { latestCheckpoint } from '../../trainer/checkpoint.node.ts';
import { restoreRecord } from '../../trainer/report/record.ts';
import type { FinishedRun } from './runs.ts';
import { fresh, runTraining, withoutTimes, writeRows } from './runs.ts';
import { textPairs, tinyConfig, writeTinyModel } from './tinyModel.ts';

let model = '';
let heldOut = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'), tinyConfig('qwen2', { tie_word_embeddings: false }));
  heldOut = writeRows(textPairs(5, 99));
});

/** 7 rows in batches of 2, two batches a step: 2 steps an epoch, of which the second has 1½ batches. */
const common = (): Record<string, unknown> => ({
  ...{ model, data: writeRows(textPairs(7)), max_steps: 9, logging_steps: 2, save_strategy: 'no', seed: 5 },
  ...{ per_device_train_batch_size: 2, gradient_accumulation_steps: 2, train_sampling_strategy: 'random' },
  ...{ learning_rate: 0.003, lr_scheduler_type: 'cosine', warmup_steps: 2, max_grad_norm: 1, max_length: 60 },
});

const cases: Record<string, () => Record<string, unknown>> = {
  'HPO on DPO, value head with dropout, AdamW': () => ({
    ...common(),
    method: 'hpo',
    weight_decay: 0.1,
    hpo: { actor_warmup_steps: 3, value_dropout: 0.2, value_learning_rate: 0.01 },
    rewards: [{ name: 'length', normalize: 'standardize' }],
  }),
  'DPO, AdamW with moments in bfloat16': () => ({
    ...{ ...common(), method: 'dpo', optim_state_dtype: 'bfloat16' },
  }),
  'DPO, SGD': () => ({ ...common(), method: 'dpo', optim: 'sgd', learning_rate: 0.5 }),
  'SFT, RMSprop': () => ({ ...common(), method: 'sft', optim: 'rmsprop', gradient_accumulation_steps: 3 }),
  'KTO in file order': () => ({
    ...{ ...common(), method: 'kto', train_sampling_strategy: 'sequential' },
    // 8 pairs are 16 judged completions, so that no batch of two is cut.
    ...{ data: writeRows(textPairs(8)), gradient_accumulation_steps: 3 },
  }),
};

/** A run that is asked to stop when `when` says so, and one that goes on from the checkpoint it left. */
async function interrupted(
  keys: Record<string, unknown>,
  when: (event: TrainEvent) => boolean,
): Promise<{ first: FinishedRun; second: FinishedRun }> {
  const controller = new AbortController();
  const outputDir = fresh();
  const first = await runTraining(
    { ...keys, output_dir: outputDir },
    { signal: controller.signal, onEvent: (event) => when(event) && controller.abort() },
  );
  expect(first.events.at(-1)).toMatchObject({ type: 'end', status: 'stopped' });
  const second = await runTraining({ ...keys, output_dir: outputDir, resume_from_checkpoint: true });
  return { first, second };
}

const stoppedAt = (step: number) => (event: TrainEvent) => event.type === 'step' && event.step === step;

/** All that a run leaves and that must not depend on whether it was interrupted. */
const left = ({ outputDir, metrics, events }: FinishedRun, files: readonly string[]) => ({
  metrics: withoutTimes(metrics),
  end: events.at(-1)?.type,
  files: files.map((file) => readFileSync(join(outputDir, file)).toString('base64')),
});

describe('a resumed run is the uninterrupted one, bit for bit', () => {
  for (const [name, make] of Object.entries(cases))
    it(name, async () => {
      const keys = { ...make(), save_strategy: 'steps', save_steps: 9 };
      const files = [
        'model.safetensors',
        'checkpoint-9/model.safetensors',
        'checkpoint-9/training.safetensors',
      ];
      const whole = await runTraining({ ...keys });
      expect(whole.metrics.map(({ step }) => step)).toEqual([2, 4, 6, 8, 9]);
      // 1: before a line was logged; 4: at a line and, but for KTO and SFT, an epoch's end; 7: between two lines.
      for (const step of [1, 4, 7]) {
        const { first, second } = await interrupted(keys, stoppedAt(step));
        expect(first.events.filter(({ type }) => type === 'step').length).toBe(step);
        expect(second.events.filter(({ type }) => type === 'step').length).toBe(9 - step);
        expect(left(second, files)).toEqual(left(whole, files));
      }
    });

  it('also where evaluations fall in between, and where one of them was cut off', async () => {
    const [first] = Object.values(cases);
    const keys = {
      ...first?.(),
      ...{ eval_data: heldOut, eval_strategy: 'steps', eval_steps: 3, per_device_eval_batch_size: 2 },
      sampling: { prompts: 2, max_new_tokens: 6, temperature: 0.8, top_k: 20 },
    };
    const whole = await runTraining(keys);
    const evaluated = (run: FinishedRun) =>
      run.metrics.filter((line) => 'eval_loss' in line).map((l) => l.step);
    expect(evaluated(whole)).toEqual([3, 6, 9]);
    const evaluating = (event: TrainEvent, steps: number, total: number) =>
      event.type === 'progress' && event.phase === 'sample' && event.done > 0 && steps === total;
    for (const at of [3, 5, 6, 9]) {
      let steps = 0;
      const { second } = await interrupted(keys, (event) => {
        if (event.type === 'step') steps = event.step;
        return at === 5 ? stoppedAt(5)(event) : evaluating(event, steps, at);
      });
      expect(left(second, ['model.safetensors'])).toEqual(left(whole, ['model.safetensors']));
      const evaluations = (run: FinishedRun) =>
        run.events.flatMap((event) => (event.type === 'evaluation' ? [event.evaluation] : []));
      expect(evaluations(second).at(-1)).toEqual(evaluations(whole).at(-1));
    }
  });

  it('from a checkpoint in the middle of the run, named by its path, after a line too many and half a line', async () => {
    const [first] = Object.values(cases);
    const keys = { ...first?.(), save_strategy: 'steps', save_steps: 3 };
    const whole = await runTraining(keys);
    const metrics = join(whole.outputDir, 'metrics.jsonl');
    const before = withoutTimes(whole.metrics);
    const weights = readFileSync(join(whole.outputDir, 'model.safetensors'));
    writeFileSync(metrics, `${readFileSync(metrics, 'utf8')}{"step": 10, "lo`);
    const again = await runTraining({
      ...keys,
      output_dir: whole.outputDir,
      resume_from_checkpoint: join(whole.outputDir, 'checkpoint-3'),
    });
    expect(again.events.filter(({ type }) => type === 'step').length).toBe(6);
    expect(withoutTimes(again.metrics)).toEqual(before);
    expect(readFileSync(join(again.outputDir, 'model.safetensors')).equals(weights)).toBe(true);
  });

  it('and its report and record begin where the run began', async () => {
    const [first] = Object.values(cases);
    const { second } = await interrupted({ ...first?.() }, stoppedAt(5));
    const report = readFileSync(join(second.outputDir, 'report.html'), 'utf8');
    expect(report).toContain('<html');
    const checkpoint = await latestCheckpoint(second.outputDir);
    const path = join(checkpoint?.path ?? '', 'record.json');
    const record = restoreRecord(readFileSync(path, 'utf8'), path);
    expect(record.lines.map(({ step }) => step)).toEqual([2, 4]);
    expect(record.secondsBefore).toBeGreaterThan(0);
    const start = second.events.find((event) => event.type === 'start');
    expect(start).toMatchObject({ firstStep: 5, totalSteps: 9 });
  });
});

describe('a checkpoint of another run', () => {
  it('is refused with the setting that differs', async () => {
    const keys = { ...cases['DPO, SGD']?.(), output_dir: fresh(), max_steps: 2, save_strategy: 'steps' };
    await runTraining(keys);
    const resume = (changes: Record<string, unknown>) =>
      runTraining({ ...keys, resume_from_checkpoint: true, ...changes });
    await expect(resume({ per_device_train_batch_size: 3 })).rejects.toThrow(
      /state\.json: the checkpoint's run had per_device_train_batch_size 2, this one has 3; resume with the same/,
    );
    await expect(resume({ seed: 6 })).rejects.toThrow(/had seed 5, this one has 6/);
    await expect(resume({ optim: 'adamw' })).rejects.toThrow(/had optim sgd, this one has adamw/);
    await expect(resume({ method: 'sft' })).rejects.toThrow(/had method dpo, this one has sft/);
    await expect(resume({ data: writeRows(textPairs(6)) })).rejects.toThrow(/had rows 7, this one has 6/);
    await expect(resume({ gradient_accumulation_steps: 1 })).rejects.toThrow(/gradient_accumulation_steps 2/);
  });
});
