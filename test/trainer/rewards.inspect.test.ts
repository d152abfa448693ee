import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inspectRewards } from '../../trainer/rewards.node.ts';
import { actorPull } from '../../trainer/rewards/actorPull.ts';
import { actorWeights } from '../../trainer/rewards/actorWeights.ts';
import { describeReward, type Side } from '../../trainer/rewards/summary.ts';
import { parseConfig } from '../../trainer/config.ts';
import { prefgrad } from '../cli/realCli.ts';
import { fresh, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

const pairsOf = (count: number): Side[] =>
  Array.from({ length: 2 * count }, (_, i) => ({ chosen: i % 2 === 0, pair: i >> 1 }));

describe('describeReward', () => {
  it('has the moments and quartiles of both sides', () => {
    const { chosen, rejected, ...rest } = describeReward('r', [1, 0, 2, 0, 3, 10], pairsOf(3));
    expect(chosen).toEqual({
      ...{ count: 3, mean: 2, deviation: Math.sqrt(2 / 3), min: 1, quartiles: [1.5, 2, 2.5], max: 3 },
      histogram: [0, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    });
    expect(rejected).toMatchObject({ mean: 10 / 3, histogram: [2, 0, 0, 0, 0, 0, 0, 0, 0, 1] });
    expect(rest).toMatchObject({ failed: 0, pairs: { higher: 2, same: 0, lower: 1 }, verdict: 'neither' });
    // gaps 1, 2, −7
    expect(rest.difference).toBeCloseTo(-4 / 3, 12);
    expect(rest.error).toBeCloseTo(
      Math.sqrt(((1 + 4 / 3) ** 2 + (2 + 4 / 3) ** 2 + (-7 + 4 / 3) ** 2) / 2 / 3),
      12,
    );
    expect(rest.correlation).toBeCloseTo(-0.1933473, 6); // statistics.correlation of Python
    expect(rest.alike).toBeCloseTo(1 / 3, 12);
  });

  it('says for and against', () => {
    const noisy = (sign: number) =>
      Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? sign : 0) + (i % 3) / 10);
    expect(describeReward('r', noisy(1), pairsOf(20))).toMatchObject({ verdict: 'with' });
    const against = describeReward('r', noisy(-1), pairsOf(20));
    expect(against).toMatchObject({ verdict: 'against', pairs: { higher: 0, same: 0, lower: 20 } });
    expect(against.correlation).toBeLessThan(-0.95);
  });

  it('leaves out what failed, with its pair', () => {
    const found = describeReward('r', [NaN, 0, 2, 1], pairsOf(2));
    expect(found).toMatchObject({ failed: 1, pairs: { higher: 1, same: 0, lower: 0 } });
    expect(found.chosen?.count).toBe(1);
    expect(found.rejected?.mean).toBe(0.5);
  });

  it('knows one side alone, and a constant', () => {
    const single = describeReward(
      'r',
      [1, 2],
      [0, 1].map(() => ({ chosen: true, pair: undefined })),
    );
    expect(single).toMatchObject({ rejected: undefined, difference: undefined, correlation: undefined });
    const constant = describeReward('r', [0.1, 0.1, 0.1, 0.1], pairsOf(2));
    expect(constant).toMatchObject({ alike: 1, correlation: undefined, verdict: 'neither' });
  });
});

describe('actorWeights', () => {
  it('is what exp makes of advantages over the expectile', () => {
    const rewards = Float64Array.from([0, 0, 0, 1]);
    // the 0.7-expectile solves 0.7 · (1 − v) = 3 · 0.3 · v
    const v = 0.7 / 1.6;
    const weights = [0, 0, 0, 1].map((r) => Math.exp(2 * (r - v)));
    const sum = weights.reduce((a, b) => a + b);
    const found = actorWeights(rewards, { lambda: 2, tau: 0.7, weightClip: 100 });
    expect(found.baseline).toBeCloseTo(v, 9);
    expect(found.largest).toBeCloseTo(Math.exp(2 * (1 - v)), 9);
    expect(found.effective).toBeCloseTo(sum ** 2 / weights.reduce((a, b) => a + b * b, 0), 9);
    expect(found.clipped).toBe(0);
    expect(actorWeights(rewards, { lambda: 9, tau: 0.5, weightClip: 100 })).toMatchObject({
      largest: 100,
      clipped: 0.25,
    });
  });
});

describe('actorPull', () => {
  const hpo = { gamma: 0.5, lambda: 0, tau: 0.7, weightClip: 100, actorReduction: 'tokenMean' } as const;
  const dpo = { beta: 0.1, lossType: ['sigmoid'], labelSmoothing: 0, hpo };

  it('is the ratio of what the two losses multiply ∇log π(token) by', () => {
    // A pair of 10 and 40 tokens: β/2 = 0.05 for each token, against γ/2|y| = 0.025 and 0.00625.
    expect(actorPull([0, 1], [10, 40], dpo)).toBeCloseTo((0.5 + 0.125) / 2, 12);
    expect(actorPull([0, 1], [10, 40], { ...dpo, lossType: ['kto'] })).toBeCloseTo(4 * 0.3125, 12);
    const sum = { ...dpo, hpo: { ...hpo, actorReduction: 'sum' as const } };
    expect(actorPull([0, 1], [10, 40], sum)).toBeCloseTo(5, 12);
    // V at 0.7, the 0.7-expectile of 0 and 1
    const weighted = actorPull([0, 1], [10, 40], { ...dpo, hpo: { ...hpo, lambda: 2 } });
    expect(weighted).toBeCloseTo((0.5 * Math.exp(-1.4) + 0.125 * Math.exp(0.6)) / 2, 9);
  });

  it('is unknown for other losses, and without β', () => {
    expect(actorPull([0, 1], [10, 40], { ...dpo, lossType: ['ipo'] })).toBeUndefined();
    expect(actorPull([0, 1], [10, 40], { ...dpo, lossType: ['sigmoid', 'sft'] })).toBeUndefined();
    expect(actorPull([0, 1], [10, 40], { ...dpo, beta: 0 })).toBeUndefined();
  });
});

describe('inspecting a configuration', () => {
  const rows = textPairs(30).map((row) => ({ ...row, rejected: `${row.rejected} and so on and on` }));
  const prepared = async (name: string, body: string) => {
    const module = `${fresh(name)}.mjs`;
    writeFileSync(module, `export default (prompt, completion) => { ${body} };\n`);
    return { model: await writeTinyModel(fresh('model')), data: writeRows(rows), module };
  };

  it('shows a conflict before training, with the rows that training would take', async () => {
    const { model, data, module } = await prepared('long', 'return completion.length / 10;');
    const rewards = [{ name: 'long', module }, { name: 'profanity' }];
    const config = parseConfig({ model, data, method: 'hpo', max_length: 60, rewards }, { source: 'test' });
    const found = await inspectRewards(config, { onEvent: () => {} });
    expect(found).toMatchObject({ rows: 30, completions: 60, failures: [] });
    expect(found.rewards.map(({ name }) => name)).toEqual(['long', 'profanity', 'total']);
    expect(found.rewards[0]).toMatchObject({ verdict: 'against', pairs: { same: 0 } });
    expect(
      found.warnings.find(({ code, reward }) => code === 'conflict' && reward === 'long')?.message,
    ).toMatch(
      /^long pulls against the preferences: rejected completions score \d.* more than chosen ones on average/,
    );
    expect(found.warnings).toContainEqual({
      ...{ code: 'alike', reward: 'profanity' },
      message: 'profanity: 100 % of the completions have the same score, so that it says nothing about them',
    });
  });

  it('says how hard the actor pulls, and what gamma would be a start', async () => {
    const { model, data, module } = await prepared('mild', 'return completion.length / 100;');
    const inspected = (gamma: number) =>
      inspectRewards(
        parseConfig(
          { model, data, method: 'hpo', hpo: { gamma }, rewards: [{ module }] },
          { source: 'test' },
        ),
        { onEvent: () => {} },
      );
    const [mild, strong, off] = [await inspected(0.1), await inspected(100), await inspected(0)];
    expect(strong.pull).toBeCloseTo(1000 * (mild.pull ?? NaN), 6);
    const codes = (found: typeof mild) => found.warnings.map(({ code }) => code);
    expect(codes(strong)).toContain('strong');
    expect(codes(mild)).not.toContain('strong');
    expect(codes(off)).not.toContain('weak');
    const advised = /hpo\.gamma ([\d.]+) would make it 0\.3$/.exec(
      strong.warnings.find(({ code }) => code === 'strong')?.message ?? '',
    );
    expect((await inspected(Number(advised?.[1]))).pull).toBeCloseTo(0.3, 1);
    expect(codes(await inspected(1e-4))).toContain('weak');
  });

  it('says where the actor never comes on', async () => {
    const { model, data, module } = await prepared('late', 'return completion.length / 100;');
    const codes = async (hpo: Record<string, number>) => {
      const given = { model, data, method: 'hpo', max_steps: 20, hpo, rewards: [{ module }] };
      const found = await inspectRewards(parseConfig(given, { source: 'test' }), { onEvent: () => {} });
      return found.warnings.flatMap(({ code, message }) => (code === 'off' ? [message] : []));
    };
    expect(await codes({ actor_warmup_steps: 20 })).toEqual([
      'hpo.actor_warmup_steps 20 leaves none of the 20 steps to the actor loss: rewards change nothing; lower it',
    ]);
    expect(await codes({ actor_warmup_steps: 19 })).toEqual([]);
    expect(await codes({ gamma: 0 })).toEqual([]);
  });

  it('is a table, or JSON, and counts and lists what has no score', async () => {
    const bad = JSON.stringify(rows[4].chosen);
    const { model, data, module } = await prepared(
      'some',
      `return completion === ${bad} ? NaN : completion.length;`,
    );
    const yaml = `${fresh('config')}.yaml`;
    writeFileSync(yaml, JSON.stringify({ model, data, method: 'hpo', rewards: [{ name: 'some', module }] }));
    const { code, out, err } = await prefgrad('rewards', yaml);
    expect(code).toBe(1);
    expect(out).toContain('30 rows, 60 completions');
    expect(out).toMatch(/^some +chosen +29 /m);
    expect(out).toMatch(/^ +rejected +30 /m);
    expect(out).toContain(`some: gives NaN at ${data}:5, expected a finite number`);
    expect(err).toContain('warning: some: 1 of 60 completions have no score');
    const json = await prefgrad('rewards', '--json', yaml);
    expect(JSON.parse(json.out)).toMatchObject({
      rows: 30,
      rewards: [{ name: 'some', failed: 1, chosen: { count: 29 }, pairs: { same: 0 } }],
      failures: [{ reward: 'some', at: `${data}:5` }],
    });
  });

  it('needs rewards', async () => {
    const { model, data } = await prepared('none', '');
    const config = parseConfig({ model, data, method: 'dpo' }, { source: 'test' });
    await expect(inspectRewards(config, { onEvent: () => {} })).rejects.toThrow(
      'rewards: method dpo has none',
    );
  });
});

it('evaluate --config normalises as training did', async () => {
  const model = await writeTinyModel(fresh('model'));
  const [data, heldOut] = [writeRows(textPairs(6)), writeRows(textPairs(3, 7))];
  const yaml = `${fresh('config')}.yaml`;
  const sizes = textPairs(6).flatMap(({ chosen, rejected }) =>
    [chosen, rejected].map((text) => text.trim().length),
  );
  const mean = sizes.reduce((a, b) => a + b) / 12;
  const deviation = Math.sqrt(sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / 12);
  const module = `${fresh('size')}.mjs`;
  writeFileSync(module, 'export default (_, completion) => completion.trim().length;\n');
  const rewards = [
    { name: 'size', module, normalize: 'standardize', weight: 3 },
    { name: 'profanity', weight: 1 },
  ];
  writeFileSync(yaml, JSON.stringify({ model, data, method: 'hpo', rewards, sampling: { prompts: 0 } }));
  const { out } = await prefgrad('evaluate', '--model', model, '--data', heldOut, '--config', yaml, '--json');
  const chosen = textPairs(3, 7).map((row) => row.chosen.trim().length);
  const raw = chosen.reduce((a, b) => a + b) / 3;
  const found = JSON.parse(out) as Record<string, number>;
  expect(found['auxiliary/size/chosen']).toBeCloseTo(raw, 9);
  expect(found['auxiliary/total/chosen']).toBeCloseTo((3 * (raw - mean)) / deviation + 1, 9);
});
