import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { evaluationLine } from '../../trainer/events.ts';
import { MetricsWindow, nonFinite, parseMetricsLine } from '../../trainer/metrics.ts';
import { openMetrics, readMetrics } from '../../trainer/metrics.node.ts';

describe('MetricsWindow', () => {
  it('has means over the microbatches that measured a metric, and the last learning rate and norm', () => {
    const window = new MetricsWindow();
    window.add({ loss: 1, 'rewards/chosen': 2, learning_rate: 1e-4, grad_norm: 3, num_tokens: 10 });
    window.endStep({ seconds: 2, tokens: 100 });
    window.add({ loss: 2, learning_rate: 2e-4, grad_norm: 5, num_tokens: 25 });
    window.add({ loss: 6, 'rewards/chosen': 3, learning_rate: 2e-4 });
    window.endStep({ seconds: 1, tokens: 20 });
    expect(window.steps).toBe(2);
    expect(window.take(8)).toEqual({
      step: 8,
      loss: 3,
      'rewards/chosen': 2.5,
      learning_rate: 2e-4,
      grad_norm: 5,
      num_tokens: 25,
      step_time: 1.5,
      tokens_per_second: 40,
    });
  });

  it('starts anew after each line', () => {
    const window = new MetricsWindow();
    window.add({ loss: 1, grad_norm: 1 });
    window.endStep({ seconds: 1, tokens: 1 });
    window.take(1);
    expect(window.steps).toBe(0);
    expect(window.take(2)).toEqual({ step: 2 });
    window.add({ loss: 5 });
    expect(window.take(3)).toEqual({ step: 3, loss: 5 });
  });

  it('writes what is not finite as null and says which', () => {
    const window = new MetricsWindow();
    window.add({ loss: NaN, grad_norm: Infinity, kl: 0 });
    window.add({ loss: 1, kl: 1 });
    const line = window.take(4);
    expect(line).toEqual({ step: 4, loss: null, grad_norm: null, kl: 0.5 });
    expect(nonFinite(line)).toEqual(['loss', 'grad_norm']);
    expect(parseMetricsLine(JSON.stringify(line), 'here')).toEqual(line);
  });
});

it('evaluationLine has Transformers’ prefix and keeps absent apart from not finite', () => {
  const line = evaluationLine(
    {
      step: 30,
      pairs: 8,
      accuracy: 0.75,
      margin: NaN,
      metrics: { loss: 0.5, 'rewards/accuracies': 1 },
      auxiliary: { short: { chosen: 0.2, sampled: null } },
    },
    1.5,
  );
  expect(line).toEqual({
    step: 30,
    epoch: 1.5,
    eval_loss: 0.5,
    'eval_rewards/accuracies': 1,
    eval_accuracy: 0.75,
    eval_margin: null,
    'eval_auxiliary/short/chosen': 0.2,
    'eval_auxiliary/short/sampled': null,
  });
});

describe('metrics.jsonl', () => {
  let root = '';
  let path = '';
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'prefgrad-metrics-'));
  });
  beforeEach(() => {
    path = join(root, `run-${count++}`, 'metrics.jsonl');
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  async function write(steps: number[], resumeAfter?: number): Promise<void> {
    const writer = await openMetrics(path, resumeAfter === undefined ? {} : { resumeAfter });
    for (const step of steps) await writer.append({ step, loss: 1 / step });
    await writer.sync();
    await writer.close();
  }
  const steps = async () => (await readMetrics(path)).map(({ step }) => step);

  it('has each line in the file as soon as append resolves', async () => {
    const writer = await openMetrics(path);
    await writer.append({ step: 1, loss: 0.1 + 0.2 });
    expect(await readFile(path, 'utf8')).toBe('{"step":1,"loss":0.30000000000000004}\n');
    await writer.close();
  });

  it('starts over in a fresh run', async () => {
    await write([1, 2, 3]);
    await write([1]);
    expect(await steps()).toEqual([1]);
  });

  it('drops the lines after the step that is resumed from, and keeps that step’s evaluation', async () => {
    await write([1, 2, 2, 3, 4]);
    await write([3, 5], 2);
    expect(await steps()).toEqual([1, 2, 2, 3, 5]);
    await write([1], 0);
    expect(await steps()).toEqual([1]);
  });

  it('drops a line that a crash cut short, and all of what follows', async () => {
    await write([1, 2]);
    await appendFile(path, '{"step": 3, "loss": 0.');
    await write([3], 3);
    expect(await steps()).toEqual([1, 2, 3]);
    await appendFile(path, '\0\0\0\0\n{"step":3,"loss":1}\n');
    await write([4], 3);
    expect(await steps()).toEqual([1, 2, 3, 4]);
  });

  it('makes the file where a resumed run has none', async () => {
    await write([6], 5);
    expect(await steps()).toEqual([6]);
  });

  it('names file and line in errors', async () => {
    await expect(readMetrics(path)).rejects.toThrow(`${path}: the metrics cannot be read (ENOENT`);
    await write([1]);
    await appendFile(path, '{"step": "two"}\n');
    await expect(readMetrics(path)).rejects.toThrow(
      `${path}, line 2: expected an object with a whole number "step" and numbers (or null) for metrics, found {"step":"two"}`,
    );
    await writeFile(path, 'step 1\n');
    await expect(readMetrics(path)).rejects.toThrow(
      `${path}, line 1: expected one JSON object, found "step 1"`,
    );
    const inside = openMetrics(join(path, 'metrics.jsonl'));
    await expect(inside).rejects.toThrow(PrefgradError);
    await expect(inside).rejects.toThrow(
      /metrics cannot be written \(.*\); free some space or choose another output_dir/,
    );
  });
});
