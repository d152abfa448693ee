import type { Evaluation, RunStart, Sample, TrainEvent } from '../../trainer/events.ts';
import { evaluationLine } from '../../trainer/events.ts';
import { emptyRecord, recordEvent, type RunRecord } from '../../trainer/report/record.ts';

// An invented HPO run with all events a real one has, for the tests of the report and of the command line.

export const exampleStart: RunStart = {
  model: 'examples/stories/model',
  method: 'hpo on dpo (sigmoid)',
  parameters: 1_068_288,
  trainableParameters: 1_068_288,
  totalSteps: 120,
  firstStep: 0,
  warmupSteps: 12,
  actorWarmupSteps: 30,
  data: { train: 512, heldOut: 64, leftOut: 3 },
  rewards: [
    { name: 'reading_level', weight: 0.5 },
    { name: 'short', weight: 1 },
  ],
  device: 'wasm',
  threads: 2,
  config: {
    model: 'examples/stories/model',
    data: 'pairs.jsonl',
    method: 'hpo',
    beta: 0.1,
    learning_rate: 5e-5,
    max_length: 256,
    hpo: { base: 'dpo', gamma: 0.5, lambda: 5, tau: 0.7, weight_clip: 100 },
    rewards: [
      { name: 'reading_level', weight: 0.5 },
      { name: 'short', weight: 1 },
    ],
  },
  environment: { prefgrad: '0.1.0', runtime: 'Node 20.20.2', platform: 'linux x64', 'relaxed SIMD': true },
  startedAt: '2026-11-24T08:00:00.000Z',
};

const noise = (step: number, salt: number) => Math.sin(step * 12.9898 + salt * 78.233) * 0.5;

/** TRL's and HPO's metrics of a step. */
export function exampleMetrics(step: number): Record<string, number> {
  const done = step / 120;
  const margin = 2.5 * done + 0.3 * noise(step, 1);
  const preference = Math.log1p(Math.exp(-margin));
  const actor = 18 * Math.exp(-done) + noise(step, 2);
  const value = 0.03 * Math.exp(-4 * done) + 0.004 + 0.002 * noise(step, 3);
  return {
    loss: preference + (step > 30 ? 0.5 * actor : 0) + 0.1 * value,
    'loss/preference': preference,
    'loss/actor': actor,
    'loss/value': value,
    'rewards/chosen': 0.6 * margin,
    'rewards/rejected': -0.4 * margin,
    'rewards/margins': margin,
    'rewards/accuracies': Math.min(1, 0.5 + 0.4 * done + 0.1 * noise(step, 4)),
    'logps/chosen': -157 + 6 * done,
    'logps/rejected': -166 - 19 * done,
    'value/mean': 0.4 + 0.1 * done,
    'advantage/mean': 0.02 * noise(step, 5),
    'weight/chosen': 2 + noise(step, 6),
    'weight/rejected': 1.2 + 0.5 * noise(step, 7),
    'weight/clipped': 0,
    'auxiliary/reading_level/chosen': 0.55 + 0.1 * noise(step, 8),
    'auxiliary/reading_level/rejected': 0.45 + 0.1 * noise(step, 9),
    'auxiliary/short/chosen': 0.35 + 0.1 * noise(step, 10),
    'auxiliary/short/rejected': 0.5 + 0.1 * noise(step, 11),
    grad_norm: 4 + noise(step, 12),
    'grad_norm/value': 0.07 + 0.02 * noise(step, 13),
    learning_rate: 5e-5 * (step < 12 ? step / 12 : (120 - step) / 108),
    entropy: 3 - done,
    num_tokens: 900 * step,
    epoch: step / 128,
  };
}

export function exampleSamples(done: number): Sample[] {
  const stories = [
    'a red ball in the park',
    'a cat that would not sleep',
    'two brothers and one boat',
    'rain',
  ];
  return Array.from({ length: 12 }, (_, i) => ({
    prompt: `Once upon a time there was ${stories[i % 4]}. Tell the story in a few words. (${i + 1})`,
    completion:
      done > 0
        ? `They played until the sun went down, and then ${stories[i % 4]} was all that was left. The end.`
        : `And it so happened that, notwithstanding the circumstances, ${stories[i % 4]} continued, and continued, ` +
          'for a considerable while, until nobody remembered how it had begun or why it should be told at all, and',
    rewards: {
      total: 0.3 + 0.4 * done + i / 60,
      reading_level: 0.3 + 0.3 * done,
      short: 0.15 + 0.25 * done + i / 60,
    },
    truncated: done === 0 && i % 3 === 0,
  }));
}

export function exampleEvaluation(step: number): Evaluation {
  const done = step / 120;
  return {
    step,
    pairs: 64,
    accuracy: 0.594 + 0.25 * Math.sqrt(done),
    margin: 9.1 + 25.2 * done,
    metrics: {
      loss: 0.6931 - 0.3 * done + 4 * Math.sign(step),
      'rewards/accuracies': done === 0 ? 0 : 0.6 + 0.25 * done,
      'rewards/margins': 2.2 * done,
    },
    auxiliary: {
      total: { chosen: 0.63, rejected: 0.72, sampled: 0.41 + 0.39 * done ** 1.5 },
      reading_level: { chosen: 0.55, rejected: 0.45, sampled: 0.35 + 0.3 * done },
      short: { chosen: 0.35, rejected: 0.5, sampled: 0.24 + 0.25 * done ** 2 },
    },
    samples: exampleSamples(done),
  };
}

/** The whole run's events, as a trainer emits them. */
export function* exampleRun(): Generator<TrainEvent> {
  for (const done of [0, 1]) yield { type: 'progress', phase: 'load', done, total: 1 };
  yield { type: 'start', ...exampleStart };
  const plan = {
    parameters: 4_273_152,
    gradients: 4_273_152,
    optimizer: 8_546_304,
    arena: 61_000_000,
    total: 78_092_608,
    logitsKept: true,
    blocksRecomputed: false,
  };
  yield { type: 'memory', plan };
  for (let done = 0; done <= 1024; done += 256)
    yield { type: 'progress', phase: 'rewards', done, total: 1024 };
  for (let done = 0; done <= 512; done += 64)
    yield { type: 'progress', phase: 'reference', done, total: 512 };
  yield {
    type: 'warning',
    message: '3 rows were left out: their prompts alone have 256 tokens or more (max_length)',
  };
  yield* evaluated(0);
  for (let step = 1; step <= 120; step++) {
    yield { type: 'step', step, metrics: exampleMetrics(step), seconds: 0.4, tokens: 900 };
    if (step % 5 === 0) {
      yield {
        type: 'log',
        line: {
          step,
          ...exampleMetrics(step),
          step_time: 0.4,
          tokens_per_second: 2250 + 300 * noise(step, 14),
        },
      };
    }
    if (step % 30 === 0) {
      yield* evaluated(step);
      yield { type: 'checkpoint', step, path: `runs/x/checkpoint-${step}`, bytes: 17_000_000, seconds: 0.1 };
    }
  }
  const outputs = [
    { label: 'model', path: 'runs/x' },
    { label: 'report', path: 'runs/x/report.html' },
    { label: 'metrics', path: 'runs/x/metrics.jsonl' },
  ];
  yield { type: 'end', status: 'done', step: 120, seconds: 61.4, outputs };
}

function* evaluated(step: number): Generator<TrainEvent> {
  const evaluation = exampleEvaluation(step);
  yield { type: 'evaluation', evaluation };
  yield { type: 'log', line: evaluationLine(evaluation, step / 128) };
}

export function exampleRecord(): RunRecord {
  const record = emptyRecord();
  for (const event of exampleRun()) recordEvent(record, event);
  return record;
}
