import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { prefgrad } from '../cli/realCli.ts';
import { fresh, scratch } from './runs.ts';

// Runs of the command line that are to fail: exit code 1, and one sentence with the place and the cure.

export interface Outcome {
  readonly code: number;
  readonly err: string;
  readonly outputDir: string;
}

/** Trains by DPO for two steps, with these keys put in; paths in messages are those in the scratch folder. */
export async function trainCli(keys: Record<string, unknown>, ...overrides: string[]): Promise<Outcome> {
  const path = `${fresh('config')}.yaml`;
  const config = {
    ...{ method: 'dpo', output_dir: fresh('out'), max_steps: 2, logging_steps: 1 },
    ...{ threads: 1, per_device_train_batch_size: 2, save_strategy: 'no' },
    ...keys,
  };
  writeFileSync(path, JSON.stringify(config));
  const { code, err } = await prefgrad('train', path, ...overrides);
  return { code, err: err.replaceAll(`${scratch}/`, ''), outputDir: config.output_dir };
}

/** An error of one line, before any step, which is no defect of ours. */
export function expectRefused({ code, err, outputDir }: Outcome, message: RegExp): void {
  const said = err.split('\n').filter((line) => line.startsWith('prefgrad: '));
  expect(said.length, err).toBe(1);
  expect(said[0]).toMatch(message);
  expect(err).not.toContain('defect');
  expect(err).not.toContain('step 1/');
  expect(code).toBe(1);
  expect(existsSync(join(outputDir, 'model.safetensors'))).toBe(false);
}

/** A file with this content; its path. */
export function writeText(name: string, content: string | Uint8Array): string {
  const path = fresh(name);
  writeFileSync(path, content);
  return path;
}
