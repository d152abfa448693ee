import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { summaryText } from '../../cli/summary.ts';
import { parseConfig } from '../../trainer/config.ts';
import { emptyRecord, lastEvaluation, recordEvent } from '../../trainer/report/record.ts';
import { crc32c, readRecords } from '../../trainer/tensorboard/records.ts';
import type { FinishedRun } from './runs.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

let keys: Record<string, unknown> = {};
beforeAll(async () => {
  keys = {
    ...{ model: await writeTinyModel(fresh('model')), data: writeRows(textPairs(8)), method: 'dpo', seed: 5 },
    ...{ eval_data: writeRows(textPairs(5, 99)), eval_strategy: 'steps', eval_steps: 2 },
    ...{
      per_device_train_batch_size: 2,
      max_steps: 16,
      logging_steps: 1,
      max_length: 60,
      save_strategy: 'no',
    },
    // Held-out pairs are random, so that learning the training pairs by heart makes their loss worse.
    ...{ optim: 'sgd', learning_rate: 1, lr_scheduler_type: 'constant', beta: 1, sampling: { prompts: 0 } },
  };
});

const end = ({ events }: FinishedRun) => events.findLast((event) => event.type === 'end');
const losses = ({ metrics }: FinishedRun) =>
  metrics.flatMap((line) =>
    'eval_loss' in line ? [{ step: line.step, loss: line['eval_loss'] ?? NaN }] : [],
  );
const checkpoints = ({ outputDir }: FinishedRun) =>
  readdirSync(outputDir).filter((name) => name.startsWith('checkpoint-'));
const weights = (folder: string) => readFileSync(join(folder, 'model.safetensors')).toString('base64');

describe('early stopping and the best model', () => {
  it('ends a run after evaluations without gain, and keeps and loads the best', async () => {
    const run = await runTraining({
      ...keys,
      ...{ early_stopping_patience: 2, load_best_model_at_end: true, save_strategy: 'steps', save_steps: 1 },
      save_total_limit: 1,
    });
    const measured = losses(run);
    const best = measured.reduce((a, b) => (b.loss < a.loss ? b : a));
    const last = measured.at(-1)?.step ?? NaN;
    expect(last).toBeLessThan(16);
    expect(last - best.step).toBeGreaterThanOrEqual(4);
    expect(end(run)).toMatchObject({
      ...{ status: 'done', step: last, best: { step: best.step, metric: 'eval_loss', value: best.loss } },
      early: expect.stringContaining(`no evaluation since step ${best.step}`) as unknown,
    });
    expect(checkpoints(run).toSorted()).toEqual([`checkpoint-${best.step}`, `checkpoint-${last}`].toSorted());
    expect(weights(run.outputDir)).toBe(weights(join(run.outputDir, `checkpoint-${best.step}`)));
    expect(weights(run.outputDir)).not.toBe(weights(join(run.outputDir, `checkpoint-${last}`)));
    expect(readFileSync(join(run.outputDir, 'report.html'), 'utf8')).toContain('the best eval_loss');

    const record = emptyRecord();
    for (const event of run.events) recordEvent(record, event);
    expect(lastEvaluation(record)?.step).toBe(best.step);
    expect(summaryText(record)).toMatch(
      /^trained \d+ of 16 steps.*\nended early: no .*\nthe best model was kept: step/,
    );

    const resumed = await runTraining({
      ...{ ...keys, early_stopping_patience: 2, load_best_model_at_end: true, output_dir: run.outputDir },
      resume_from_checkpoint: true,
    });
    expect(resumed.events.some(({ type }) => type === 'step')).toBe(false); // it had ended
    expect(end(resumed)).toMatchObject({ best: { step: best.step } });
    expect(weights(resumed.outputDir)).toBe(weights(join(run.outputDir, `checkpoint-${best.step}`)));
  });

  it('saves the best where nothing else is saved, and greater is better for what is no loss', async () => {
    const run = await runTraining({
      ...keys,
      load_best_model_at_end: true,
      metric_for_best_model: 'accuracy',
    });
    const values = run.metrics.flatMap((line) => line['eval_accuracy'] ?? []);
    const found = end(run);
    expect(found).toMatchObject({ step: 16, best: { metric: 'eval_accuracy', value: Math.max(...values) } });
    expect(checkpoints(run).length).toBeGreaterThan(0);
  });

  it('names the metrics there are before the first step', async () => {
    await expect(
      runTraining({ ...keys, load_best_model_at_end: true, metric_for_best_model: 'bleu' }),
    ).rejects.toThrow(
      /metric_for_best_model: evaluations have no eval_bleu, only eval_logps\/chosen.*eval_loss/,
    );
  });
});

describe('an output_dir that holds another run', () => {
  it('is refused where that has not ended, unless it may be overwritten; replaced where it has', async () => {
    const controller = new AbortController();
    const outputDir = fresh();
    const again = {
      ...keys,
      output_dir: outputDir,
      max_steps: 4,
      eval_data: null,
      eval_strategy: 'no',
      eval_steps: null,
    };
    const stopped = await runTraining(again, {
      signal: controller.signal,
      onEvent: (event) => event.type === 'step' && event.step === 2 && controller.abort(),
    });
    expect(end(stopped)).toMatchObject({ status: 'stopped', step: 2 });
    await expect(runTraining(again)).rejects.toThrow(
      `output_dir ${outputDir}: holds a run that has done 2 of 4 steps; go on with it by resume_from_checkpoint=true, start anew by overwrite_output_dir=true`,
    );
    expect(readdirSync(outputDir)).toContain('checkpoint-2');
    const ended = await runTraining({ ...again, overwrite_output_dir: true, save_strategy: 'epoch' });
    expect(checkpoints(ended)).toEqual(['checkpoint-4']);
    const third = await runTraining(again);
    expect(third.metrics.length).toBe(4);
    expect(third.events).toContainEqual({
      type: 'warning',
      message: `output_dir ${outputDir} holds a run that has ended: this one replaces it, but its checkpoints stay (checkpoint-4)`,
    });
  });

  it('is tidied of a final save that was cut off, but not of one under way', async () => {
    const outputDir = fresh();
    const beside = (pid: number, time: number) => {
      const path = join(dirname(outputDir), `.${basename(outputDir)}.saving-${pid}-${time}`);
      mkdirSync(path);
      return path;
    };
    const killed = beside(2 ** 22 + 1, 1); // beyond Linux's process numbers
    const earlier = beside(process.pid, 1);
    const own = beside(process.pid, Date.now());
    const other = beside(process.ppid, 1);
    await runTraining({
      ...{ ...keys, output_dir: outputDir, max_steps: 1 },
      ...{ eval_data: null, eval_strategy: 'no', eval_steps: null },
    });
    expect([killed, earlier, own, other].map((path) => existsSync(path))).toEqual([false, false, true, true]);
  });

  it.skipIf(process.platform !== 'linux')(
    'is an error at once where nothing can be made (skipped where there is no /proc)',
    async () => {
      for (const outputDir of ['/proc/run', '/proc/deep/run', '/proc'])
        await expect(runTraining({ ...keys, output_dir: outputDir })).rejects.toThrow(
          /output_dir \/proc\S*: cannot be written, since nothing can be made in \/proc \(.*\); choose another one/,
        );
    },
  );
});

describe('TensorBoard event files', () => {
  const files = (folder: string) => readdirSync(folder).filter((name) => name.includes('tfevents'));
  const text = (data: Uint8Array) => new TextDecoder('latin1').decode(data);

  it('say what metrics.jsonl says, and go on after a resume', async () => {
    const outputDir = fresh();
    const common = { ...keys, output_dir: outputDir, save_strategy: 'steps', save_steps: 3 };
    await runTraining({ ...common, max_steps: 5 });
    const resumed = await runTraining({
      ...{ ...common, max_steps: 6 },
      resume_from_checkpoint: join(outputDir, 'checkpoint-3'),
    });
    const [name, ...others] = files(outputDir);
    expect(others).toEqual([]);
    const bytes = readFileSync(join(outputDir, name ?? ''));
    const [version, ...events] = readRecords(bytes);
    expect(text(version?.data ?? new Uint8Array())).toContain('brain.Event:2');
    expect(events.at(-1)?.end).toBe(bytes.length);
    expect(events.map(({ step }) => step)).toEqual(resumed.metrics.map(({ step }) => step));
    expect(text(events[0]?.data ?? new Uint8Array())).toContain('train/rewards/chosen');
    const evaluated = events.find(({ data }) => text(data).includes('eval/loss'));
    expect(evaluated?.step).toBe(2);
    // A fresh run replaces them.
    await runTraining({
      ...common,
      max_steps: 1,
      overwrite_output_dir: true,
      eval_data: null,
      eval_strategy: 'no',
      eval_steps: null,
    });
    const [again = '', ...more] = files(outputDir);
    expect(more).toEqual([]);
    expect([...readRecords(readFileSync(join(outputDir, again)))].map(({ step }) => step)).toEqual([0, 1]);
  });

  it('are checked by CRC-32C', () => {
    // RFC 3720, B.4, and the check value of the CRC catalogue.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  });

  it('are not written where report_to is none', async () => {
    const run = await runTraining({
      ...keys,
      max_steps: 1,
      eval_data: null,
      eval_strategy: 'no',
      eval_steps: null,
      report_to: 'none',
    });
    expect(files(run.outputDir)).toEqual([]);
  });
});

describe('the configuration', () => {
  const least = { model: 'm', data: 'd.jsonl', method: 'dpo' };
  const held = { ...least, eval_data: 'h.jsonl', eval_strategy: 'steps' };

  it('has Transformers’ names, and its defaults but for TensorBoard’s files, which are written', () => {
    expect(parseConfig(least)).toMatchObject({
      ...{ earlyStoppingPatience: null, earlyStoppingThreshold: 0, loadBestModelAtEnd: false },
      ...{ metricForBestModel: null, greaterIsBetter: null, reportTo: 'tensorboard' },
      overwriteOutputDir: false,
    });
    for (const none of ['none', [], ['none']])
      expect(parseConfig({ ...least, report_to: none }).reportTo).toBe('none');
    expect(parseConfig({ ...least, report_to: ['tensorboard'] }).reportTo).toBe('tensorboard');
    expect(
      parseConfig({ ...held, early_stopping_patience: 3, early_stopping_threshold: 0.01 }),
    ).toMatchObject({ earlyStoppingPatience: 3, earlyStoppingThreshold: 0.01 });
  });

  it.each([
    [{ ...least, report_to: 'wandb' }, /report_to: got "wandb", expected tensorboard or none/],
    [
      { ...least, early_stopping_patience: 2 },
      /early_stopping_patience: needs evaluations; set eval_data and eval_strategy: steps or epoch/,
    ],
    [{ ...least, load_best_model_at_end: true }, /load_best_model_at_end: needs evaluations/],
    [
      { ...held, metric_for_best_model: 'loss' },
      /metric_for_best_model: needs early_stopping_patience or load_best_model_at_end/,
    ],
    [
      { ...held, load_best_model_at_end: true, early_stopping_threshold: 1 },
      /early_stopping_threshold: needs early_stopping_patience/,
    ],
    [
      { ...held, early_stopping_patience: 0 },
      /early_stopping_patience: got 0, expected a whole number of at/,
    ],
    [
      { ...least, overwrite_output_dir: true, resume_from_checkpoint: true },
      /overwrite_output_dir and resume_from_checkpoint: contradict each other/,
    ],
  ])('says what contradicts itself: %j', (config, message) => {
    expect(() => parseConfig(config)).toThrow(message);
  });
});
