import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fileRewardCache } from '../../trainer/rewards/cache.node.ts';
import { computeRewards, type FunctionReward } from '../../trainer/rewards/index.ts';
import { scratch } from './runs.ts';

const targets = ['a', 'bb', 'ccc'].map((completion, i) => ({
  prompt: 'p',
  completion,
  origin: { file: 'rows.jsonl', line: i + 1 },
}));
const files = () => readdirSync(join(scratch, 'cache', 'prefgrad', 'rewards'));

async function run(identity: string, score = (_: string, completion: string) => completion.length / 3) {
  let calls = 0;
  const reward: FunctionReward = {
    ...{ name: 'size', weight: 1, normalize: 'none', identity },
    score: (...texts) => (calls++, score(...texts)),
  };
  const { total } = await computeRewards(targets, [reward], { cache: fileRewardCache() });
  return { calls, total: [...total] };
}

it('keeps scores on disk to the last bit, by reward, prompt and completion', async () => {
  const first = await run('size 1');
  expect(await run('size 1')).toEqual({ calls: 0, total: first.total });
  expect(first).toEqual({ calls: 3, total: [1 / 3, 2 / 3, 1] });
  expect((await run('size 2')).calls).toBe(3);
  expect(files().length).toBe(2);
});

it('computes again what a crash cut short', async () => {
  await run('size 3');
  const folder = join(scratch, 'cache', 'prefgrad', 'rewards');
  const path = files()
    .map((name) => join(folder, name))
    .find((one) => readFileSync(one, 'utf8').split('\n').length > 3);
  appendFileSync(path ?? '', `${'0'.repeat(64)} 0.12\n${'1'.repeat(30)}`);
  expect((await run('size 3')).calls).toBe(0);
});

it('keeps what was done before a failure', async () => {
  const failing = run('size 4', (_, completion) => {
    if (completion === 'ccc') throw new Error('no');
    return 1;
  });
  await expect(failing).rejects.toThrow('reward size: fails at rows.jsonl:3: no');
  expect((await run('size 4', () => 2)).calls).toBe(1);
});
