import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { latestCheckpoint, openCheckpoint, recoverCheckpoints } from '../../trainer/checkpoint.node.ts';
import { findDamage } from '../../trainer/checkpointManifest.node.ts';
import { readMetrics } from '../../trainer/metrics.node.ts';
import { bundleCli } from '../cli/bundledCli.ts';
import { fresh, runTraining, scratch, withoutTimes, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

// Signals end the process, so these runs have one of their own.

let program = '';
let keys: Record<string, unknown> = {};
beforeAll(async () => {
  program = await bundleCli(join(scratch, 'cli.mjs'));
  keys = {
    ...{
      model: await writeTinyModel(fresh('model')),
      data: writeRows(textPairs(7)),
      method: 'hpo',
      threads: 1,
    },
    ...{ rewards: [{ name: 'length' }], hpo: { actor_warmup_steps: 2 }, seed: 3, logging_steps: 1 },
    ...{
      learning_rate: 0.001,
      lr_scheduler_type: 'constant',
      max_length: 60,
      per_device_train_batch_size: 2,
    },
    ...{ save_strategy: 'steps', save_steps: 1, save_total_limit: 2 },
  };
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly err: string;
}

/** Runs `prefgrad train`; `watch` sees stderr as it grows. */
function train(
  config: Readonly<Record<string, unknown>>,
  watch: (err: string, child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const path = `${fresh('config')}.yaml`;
  writeFileSync(path, JSON.stringify({ ...keys, ...config }));
  const child = spawn(process.execPath, [program, 'train', path], { stdio: ['ignore', 'ignore', 'pipe'] });
  let err = '';
  return new Promise((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
      watch(err, child);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, err }));
  });
}

/** Whether a run that was interrupted ended up where one goes that was not. */
async function expectAsUninterrupted(outputDir: string, steps: number): Promise<void> {
  const whole = await runTraining({ ...keys, max_steps: steps, save_strategy: 'no' });
  const lines = await readMetrics(join(outputDir, 'metrics.jsonl'));
  expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
  expect(withoutTimes(lines)).toEqual(withoutTimes(whole.metrics));
  const weights = (folder: string) => readFileSync(join(folder, 'model.safetensors'));
  expect(weights(outputDir).equals(weights(whole.outputDir))).toBe(true);
}

describe('Ctrl-C', () => {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(`(${name}) during training saves, exits with ${code}, and the run can go on`, async () => {
      const outputDir = fresh('out');
      const config = { output_dir: outputDir, save_strategy: 'no' };
      let sent = false;
      const { code: ended, err } = await train({ ...config, max_steps: 100_000 }, (text, child) => {
        if (!sent && /step 5\//.test(text)) sent = child.kill(name);
      });
      expect(ended).toBe(code);
      expect(err).toContain('stopping after this step, to save a checkpoint');
      const { step } = await openCheckpoint(outputDir, true);
      expect(step).toBeGreaterThanOrEqual(5);
      const resumed = await train({ ...config, max_steps: step + 2, resume_from_checkpoint: true });
      expect([resumed.code, resumed.signal]).toEqual([0, null]);
      await expectAsUninterrupted(outputDir, step + 2);
    });

  it('twice ends the process at once, whatever is under way', async () => {
    const module = `${fresh('stuck')}.mjs`;
    writeFileSync(
      module,
      `export default () => { process.stderr.write('scoring\\n'); return new Promise((done) => setTimeout(done, 60_000, 1)); };`,
    );
    let sent = 0;
    let began = 0;
    const { code, err } = await train(
      { output_dir: fresh('out'), max_steps: 3, rewards: [{ module, name: 'stuck' }] },
      (text, child) => {
        if (sent === 0 && text.includes('scoring')) sent += Number(child.kill('SIGINT'));
        if (sent === 1 && text.includes('Ctrl-C again')) {
          sent += Number(child.kill('SIGINT'));
          began = performance.now();
        }
      },
    );
    expect([code, sent]).toEqual([130, 2]);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(err).not.toContain('defect');
  });

  it('before the first step leaves nothing behind', async () => {
    const module = `${fresh('slow')}.mjs`;
    writeFileSync(
      module,
      `export default () => { process.stderr.write('scoring\\n'); return new Promise((done) => setTimeout(done, 300, 1)); };`,
    );
    let sent = false;
    const { code, err } = await train(
      { output_dir: fresh('out'), max_steps: 3, rewards: [{ module, name: 'slow' }] },
      (text, child) => {
        if (!sent && text.includes('scoring')) sent = child.kill('SIGINT');
      },
    );
    expect(code).toBe(130);
    expect(err).not.toContain('step 1/');
    expect(err).not.toContain('defect');
  });
});

it('kill -9 at any moment leaves a whole checkpoint, from which the run goes on as if nothing had been', async () => {
  const outputDir = fresh('out');
  let before = 0;
  for (let kill = 0; kill < 10; kill++) {
    let timer: NodeJS.Timeout | undefined;
    const config = { output_dir: outputDir, max_steps: 100_000, resume_from_checkpoint: kill > 0 };
    const { signal, err } = await train(config, (text, child) => {
      // From the first checkpoint of this life on: each has a step, a line of metrics, and files being written.
      if (timer === undefined && text.includes(' saved ')) {
        timer = setTimeout(() => child.kill('SIGKILL'), 37 * ((kill * 7) % 10));
      }
    });
    expect(signal, err).toBe('SIGKILL');
    await recoverCheckpoints(outputDir);
    const newest = await latestCheckpoint(outputDir);
    if (newest === undefined) throw new Error('no checkpoint is left');
    expect(await findDamage(newest)).toBeUndefined();
    expect(newest.step).toBeGreaterThan(before);
    before = newest.step;
  }
  await runTraining({
    ...keys,
    ...{ output_dir: outputDir, max_steps: before + 1, resume_from_checkpoint: true },
  });
  await expectAsUninterrupted(outputDir, before + 1);
});
