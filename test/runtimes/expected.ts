import { join } from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { ops } from '../../engine/index.ts';
import { textPairs, writeTinyModel } from '../trainer/tinyModel.ts';
import { bundle, root, scratch } from './bundle.ts';
import type { OpChecked, OpsJob } from './ops.ts';
import type { Runtime } from './runtimes.ts';
import { ask, node, spawn } from './runtimes.ts';
import type { Tuned } from './tune.ts';

// What every runtime must give.

/** What Node gives with plain SIMD: `losses` and `tokens` of tune.ts. */
export async function tunedInNode(): Promise<Tuned> {
  const module = await bundle('tune', 'node');
  return (await ask(node, module, { device: 'plain', threads: 1 })) as Tuned;
}

/** To the accuracy of float32 after three steps. */
export function expectClose(got: Tuned, want: Tuned): void {
  expect(want.losses).toHaveLength(3);
  expect(new Set(want.losses).size).toBe(3);
  want.losses.forEach((loss, i) => expect(got.losses[i]).toBeCloseTo(loss, 4));
  expect(new Set(want.tokens).size).toBeGreaterThan(3);
  expect(got.tokens).toEqual(want.tokens);
}

/** Of each op the first sample whose inputs have fewer rows than their capacity, or the first. */
export const someSamples: OpsJob = ops
  .filter((op) => op.samples.length > 0)
  .map((op) => [
    op.name,
    Math.max(
      0,
      op.samples.findIndex((sample) => sample.counts !== undefined),
    ),
  ]);

export function expectAccurate(checked: readonly OpChecked[]): void {
  expect(new Set(checked.map(({ name }) => name.split(' ')[0])).size).toBe(someSamples.length);
  expect(checked.filter(({ error }) => !(error < 1))).toEqual([]);
}

/** Metrics of three steps of `prefgrad train` on a tiny model, where a runtime runs the built command line. */
export async function trainedBy(runtime: Runtime): Promise<Record<string, number>[]> {
  const folder = join(scratch(), runtime.name);
  await writeTinyModel(join(folder, 'model'));
  writeFileSync(
    join(folder, 'pairs.jsonl'),
    textPairs(6)
      .map((row) => JSON.stringify(row))
      .join('\n'),
  );
  const config = {
    ...{ model: join(folder, 'model'), data: join(folder, 'pairs.jsonl'), output_dir: join(folder, 'run') },
    ...{ method: 'dpo', device: 'wasm', threads: 2, max_steps: 3, logging_steps: 1, learning_rate: 0.01 },
    ...{ per_device_train_batch_size: 2, max_length: 60, save_strategy: 'no' },
  };
  writeFileSync(join(folder, 'dpo.yaml'), JSON.stringify(config));
  await spawn(runtime, join(root, 'dist', 'cli.js'), 'train', join(folder, 'dpo.yaml'));
  return readFileSync(join(folder, 'run', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>)
    .filter((line) => 'loss' in line);
}

export function expectSameTraining(got: readonly Record<string, number>[], want: typeof got): void {
  expect(want).toHaveLength(3);
  for (const name of ['loss', 'grad_norm', 'rewards/margins'])
    want.forEach((line, i) => expect(got[i]?.[name], name).toBeCloseTo(line[name] ?? NaN, 4));
}
