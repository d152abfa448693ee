import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { profileTable } from '../../cli/profileTable.ts';
import type { ProfileSummary } from '../../engine/index.ts';
import { fresh, writeRows } from '../trainer/runs.ts';
import { textPairs, writeTinyModel } from '../trainer/tinyModel.ts';
import { prefgrad } from './realCli.ts';

const time = {
  op: 'matmul',
  kernel: 'gemm',
  calls: 4,
  bytes: 3e6,
  flops: 4e8,
  slowest: 9,
  ms: 8,
  waiting: 1,
};
const summary: ProfileSummary = {
  ...{ steps: 10, threads: 2, total: 12.5, waiting: 1.2, messages: 0.1, script: 1.2 },
  kernels: [
    time,
    { ...time, op: 'adamw', kernel: 'adamw', calls: 58, bytes: 4e7, flops: 0, ms: 1.99, slowest: 2 },
    {
      ...time,
      op: 'neg',
      kernel: 'unary',
      calls: 7,
      bytes: 8,
      flops: 0,
      ms: 0.007,
      slowest: 0.007,
      waiting: 0,
    },
    {
      ...time,
      op: 'exp',
      kernel: 'unary',
      calls: 1,
      bytes: 8,
      flops: 0,
      ms: 0.003,
      slowest: 0.003,
      waiting: 0,
    },
  ],
};

describe('profile table', () => {
  it('has a line for each kernel that matters, for what is lost around them, and for a step', () => {
    expect(profileTable(summary)).toMatchInlineSnapshot(`
      "op: kernel                 calls      ms    share  GFLOP/s  GB/s  imbalance  waiting ms
      matmul: gemm                   4   8.000   64.0 %     50.0   0.4       13 %       1.000
      adamw                         58   1.990   15.9 %           20.1        1 %       1.000
      2 others                       8   0.010    0.1 %                                 0.000
      waiting for other threads          1.200    9.6 %
      messages to threads                0.100    0.8 %
      JavaScript around runs             1.200    9.6 %
      a step                            12.500  100.0 %     32.0
      lost outside kernels: 20.0 % of a step (waiting 9.6 %, messages 0.8 %, JavaScript 9.6 %); means of 10 on 2 threads
      "
    `);
    expect(profileTable({ ...summary, threads: 1 })).toContain('means of 10 on 1 thread\n');
  });
});

describe('train --profile', () => {
  let config = '';
  beforeAll(async () => {
    config = `${fresh('config')}.yaml`;
    const keys = {
      ...{ model: await writeTinyModel(fresh('model')), data: writeRows(textPairs(5)), method: 'dpo' },
      ...{ max_steps: 4, per_device_train_batch_size: 2, gradient_accumulation_steps: 2, threads: 2 },
      ...{ eval_data: writeRows(textPairs(3)), eval_strategy: 'steps', eval_steps: 2, save_strategy: 'no' },
    };
    writeFileSync(config, JSON.stringify(keys));
  });

  it('prints where the time of the steps went, and writes a Chrome trace', async () => {
    const folder = fresh('out');
    const { code, out } = await prefgrad(
      ...['train', '--profile', config, `output_dir=${folder}`, 'device=wasm'],
    );
    expect(code).toBe(0);
    expect(out).toContain(`profile  ${join(folder, 'profile.json')}\n`);
    expect(out).toMatch(/\nmatmul: gem\w+ +\d+ +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+ +\d+ % +[\d.]+\n/);
    expect(out).toMatch(/\na step +[\d.]+ +100\.0 % +[\d.]+\nlost outside kernels: [\d.]+ % of a step /);
    expect(out).toContain('means of 2 on 2 threads\n');
    const { traceEvents } = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')) as {
      traceEvents: { name: string; ph: string; tid: number; ts: number; dur: number }[];
    };
    const row = traceEvents.filter((e) => e.ph === 'X' && e.tid === 0);
    expect(row.filter((e) => e.name.startsWith('step')).map((e) => e.name)).toEqual([
      ...['step 2', 'step 3', 'step 4'],
    ]);
    // 5 rows: two microbatches of 2, then one of 1, an epoch's end
    for (const { name, ts, dur } of row.filter((e) => e.name.startsWith('step'))) {
      const within = row.filter((e) => e.name !== name && e.ts >= ts && e.ts + e.dur <= ts + dur + 1);
      expect(within.map((e) => e.name)).toEqual(
        name === 'step 3' ? ['train', 'train', 'update'] : ['train', 'update'],
      );
    }
  });

  it('puts the profile into the result with --json', async () => {
    const { out } = await prefgrad(
      ...['train', '--profile', '--json', config, `output_dir=${fresh('out')}`, 'device=wasm', 'threads=1'],
    );
    const { profile } = JSON.parse(out) as { profile: ProfileSummary };
    expect(profile).toMatchObject({ steps: 2, threads: 1 });
    const kernels = profile.kernels.reduce((sum, k) => sum + k.ms, 0);
    expect(kernels + profile.waiting + profile.messages + profile.script).toBeCloseTo(profile.total, 6);
    expect(profile.total).toBeGreaterThan(kernels);
  });

  it('says that other devices have none', async () => {
    const folder = fresh('out');
    const { code, out, err } = await prefgrad(
      ...['train', '--profile', config, `output_dir=${folder}`, 'device=reference', 'max_steps=1'],
    );
    expect(code).toBe(0);
    expect(err).toContain(
      'warning: --profile measures the kernels of device wasm, but this run is on reference: there will be no profile\n',
    );
    expect(out).not.toContain('lost outside kernels');
    expect(existsSync(join(folder, 'profile.json'))).toBe(false);
  });

  it('is nothing that happens unasked', async () => {
    const folder = fresh('out');
    const { out } = await prefgrad('train', config, `output_dir=${folder}`, 'device=wasm', 'max_steps=1');
    expect(out).not.toContain('lost outside kernels');
    expect(existsSync(join(folder, 'profile.json'))).toBe(false);
  });
});
