import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { planSweep } from '../../trainer/sweep/plan.ts';
import { paretoPlot } from '../../trainer/sweep/plot.ts';
import { placed, summarize, type Measured, type RunResult } from '../../trainer/sweep/results.ts';
import { sweep, type SweepEvent, type SweepOutcome } from '../../trainer/sweep/sweep.node.ts';
import { prefgrad } from '../cli/realCli.ts';
import { fresh, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

describe('planSweep', () => {
  const labels = (...args: string[]) => planSweep(args).points.map(({ label }) => label);

  it('has the base loss beside the points', () => {
    const plan = planSweep(['hpo.gamma=0.1, 1', 'max_steps=3']);
    expect(plan.common).toEqual(['max_steps=3']);
    expect(plan.points).toEqual([
      { role: 'base', label: 'base', overrides: ['hpo.gamma=0'] },
      { role: 'point', label: 'hpo.gamma=0.1', overrides: ['hpo.gamma=0.1'] },
      { role: 'point', label: 'hpo.gamma=1', overrides: ['hpo.gamma=1'] },
    ]);
  });

  it('takes γ = 0 for the base loss, and trains that once whatever else HPO’s keys are', () => {
    expect(labels('hpo.gamma=0,0.5,1')).toEqual(['base', 'hpo.gamma=0.5', 'hpo.gamma=1']);
    expect(labels('hpo.gamma=0,1', 'hpo.lambda=2,5')).toEqual([
      ...['base', 'hpo.gamma=1 hpo.lambda=2', 'hpo.gamma=1 hpo.lambda=5'],
    ]);
  });

  it('has a base for each value of a key that it depends on', () => {
    expect(labels('beta=0.1,1', 'hpo.gamma=1,2')).toEqual([
      ...['base beta=0.1', 'base beta=1', 'beta=0.1 hpo.gamma=1', 'beta=0.1 hpo.gamma=2'],
      ...['beta=1 hpo.gamma=1', 'beta=1 hpo.gamma=2'],
    ]);
    expect(labels('loss_type=sigmoid,[hinge, ipo]').slice(2)).toEqual([
      ...['loss_type=sigmoid', 'loss_type=[hinge, ipo]'],
    ]);
  });

  it.each([
    [['hpo.gamma=1'], 'no key has several values'],
    [['hpo.gamma'], 'hpo.gamma: is not of the form key=value'],
    [['hpo.gamma=1,1'], 'hpo.gamma: has the value 1 twice'],
    [['beta=1,2', 'beta=3'], 'beta: is given twice'],
    [['seed=1,2'], 'give them as --seeds'],
  ])('%j is a mistake', (args, sentence) => {
    expect(() => planSweep(args)).toThrow(sentence);
  });
});

const measure = (accuracy: number, reward: number | null, implicit = accuracy): Measured => ({
  ...{ pairs: 8, accuracy, margin: 0, metrics: { 'rewards/accuracies': implicit }, samples: 4, words: 5 },
  rewards: { short: reward },
});
const run = (label: string, seed: number, accuracy: number, reward: number | null): RunResult => ({
  ...{ label, role: label === 'base' ? 'base' : 'point', seed, seconds: 1 },
  before: measure(0.5, 0.2),
  after: measure(accuracy, reward),
});

describe('results', () => {
  const runs = [
    ...[run('base', 1, 0.8, 0.3), run('base', 2, 0.6, 0.5)],
    ...[run('hpo.gamma=1', 1, 0.7, 0.9), run('hpo.gamma=1', 2, 0.7, 0.7)],
    ...[run('hpo.gamma=9', 1, 0.4, 0.7), run('hpo.gamma=9', 2, 0.6, 0.8)],
  ];

  it('are means over seeds, the reference first', () => {
    const [reference, base, ...points] = summarize(runs);
    expect(reference).toMatchObject({
      role: 'reference',
      accuracy: { mean: 0.5, deviation: 0 },
      seeds: [1, 2],
    });
    expect(reference.implicitAccuracy).toBeUndefined();
    expect(base.accuracy?.mean).toBeCloseTo(0.7, 12);
    expect(base.accuracy?.deviation).toBeCloseTo(Math.sqrt(0.02), 12);
    expect(points.map(({ label }) => label)).toEqual(['hpo.gamma=1', 'hpo.gamma=9']);
  });

  it('have a Pareto front', () => {
    const front = placed(summarize(runs), 'short', 'accuracy').filter((one) => one.front);
    expect(front.map(({ result }) => result.label)).toEqual(['hpo.gamma=1']);
    const traded = placed(summarize([...runs, run('hpo.gamma=3', 1, 0.5, 0.95)]), 'short', 'accuracy');
    expect(traded.flatMap((one) => (one.front ? one.result.label : []))).toEqual([
      'hpo.gamma=1',
      'hpo.gamma=3',
    ]);
  });

  it('leave out what a seed has no number for', () => {
    const holed = summarize([...runs.slice(0, 3), run('hpo.gamma=1', 2, 0.7, null)]);
    expect(holed[2].rewards).toEqual({});
    expect(placed(holed, 'short', 'accuracy').map(({ result }) => result.label)).toEqual([
      'reference',
      'base',
    ]);
  });

  it('are drawn, whatever labels say', () => {
    const evil = '</svg><script>alert(1)</script>';
    const svg = paretoPlot(summarize([...runs, run(evil, 1, 0.5, 0.5)]), 'short', 'accuracy')?.text ?? '';
    expect(svg.match(/<svg/g)).toHaveLength(1);
    expect(svg).not.toContain('<script');
    for (const name of ['reference', 'base loss', 'γ 1', 'γ 9']) expect(svg).toContain(`>${name}</text>`);
    expect(svg.match(/class="seed point"/g)).toHaveLength(4);
    expect(paretoPlot(summarize([]), 'short', 'accuracy')).toBeUndefined();
  });
});

describe('a sweep', () => {
  let model = '';
  beforeAll(async () => {
    model = await writeTinyModel(fresh('model'));
  });

  /** A configuration on disk, and where its sweep goes. */
  function prepared(more: Readonly<Record<string, unknown>> = {}) {
    const outputDir = fresh('sweep');
    const config = `${fresh('config')}.yaml`;
    const data = writeRows(textPairs(6));
    const keys = {
      ...{
        model,
        data,
        eval_data: writeRows(textPairs(4, 5)),
        output_dir: outputDir,
        method: 'hpo',
        threads: 1,
      },
      ...{
        max_steps: 3,
        per_device_train_batch_size: 2,
        learning_rate: 0.01,
        rewards: [{ name: 'length', target: 3 }],
      },
      ...{ hpo: { actor_warmup_steps: 0 }, sampling: { prompts: 2, max_new_tokens: 4 }, save_strategy: 'no' },
      ...more,
    };
    writeFileSync(config, JSON.stringify(keys));
    return { config, data, folder: join(outputDir, 'sweep') };
  }
  const args = ['hpo.gamma=0,2'];

  async function sweepOf(
    config: string,
    {
      seeds = [1, 2],
      signal = new AbortController().signal,
      on = (_: SweepEvent): void => {},
      more = [''],
    } = {},
  ): Promise<{ outcome: SweepOutcome; trained: string[]; resumed: string[] }> {
    const [trained, resumed]: [string[], string[]] = [[], []];
    const onEvent = (event: SweepEvent) => {
      if (event.type === 'run') {
        const name = `${event.run.point.label} ${event.run.seed}`;
        trained.push(name);
        if (event.resumed) resumed.push(name);
      }
      on(event);
    };
    const options = { config, args: [...args, ...more.filter(Boolean)], seeds, keepModels: false };
    return { outcome: await sweep(options, { signal, onEvent }), trained, resumed };
  }

  it('trains every point with every seed, once, and reports them', async () => {
    const { config, data, folder } = prepared();
    const { outcome, trained } = await sweepOf(config);
    expect(trained).toEqual(['base 1', 'hpo.gamma=2 1', 'base 2', 'hpo.gamma=2 2']);
    expect(outcome).toMatchObject({ status: 'done', done: 4, total: 4 });
    expect(outcome.results.map(({ label, seeds }) => [label, seeds])).toEqual([
      ...[
        ['reference', [1, 2]],
        ['base', [1, 2]],
        ['hpo.gamma=2', [1, 2]],
      ],
    ]);
    expect(readdirSync(folder).toSorted()).toEqual([
      'base',
      'hpo.gamma=2',
      'pareto-implicit.svg',
      'pareto.svg',
      'sweep.html',
      'sweep.json',
    ]);
    const kept = readdirSync(join(folder, 'base', 'seed-1'));
    expect(kept).toContain('report.html');
    expect(kept.filter((name) => name.endsWith('.safetensors'))).toEqual([]);
    const page = readFileSync(join(folder, 'sweep.html'), 'utf8');
    expect(page).toContain('4 of 4 runs are done');
    expect(page).toContain('href="hpo.gamma=2/seed-1/report.html"');
    const json = JSON.parse(readFileSync(join(folder, 'sweep.json'), 'utf8')) as Record<string, unknown>;
    expect(json).toMatchObject({ seeds: [1, 2], axes: [{ key: 'hpo.gamma', values: ['0', '2'] }] });

    const again = await sweepOf(config);
    expect(again.trained).toEqual([]);
    expect(again.outcome.results).toEqual(outcome.results);
    expect((await sweepOf(config, { seeds: [1, 3] })).trained).toEqual(['base 3', 'hpo.gamma=2 3']);
    expect((await sweepOf(config, { seeds: [1], more: ['max_steps=2'] })).trained.length).toBe(2);
    writeFileSync(data, `${readFileSync(data, 'utf8')}${JSON.stringify(textPairs(1, 99)[0])}\n`);
    expect((await sweepOf(config, { seeds: [2] })).trained).toEqual(['base 2', 'hpo.gamma=2 2']);
  });

  it('goes on where it was stopped, to the same numbers', async () => {
    const { config, folder } = prepared();
    const controller = new AbortController();
    let steps = 0;
    const stopped = await sweepOf(config, {
      signal: controller.signal,
      on: (event) => {
        // In the second run's second step.
        if (event.type === 'train' && event.event.type === 'step' && ++steps === 5) controller.abort();
      },
    });
    expect(stopped.outcome).toMatchObject({ status: 'stopped', done: 1, total: 4 });
    expect(stopped.outcome.results.map(({ label }) => label)).toEqual(['reference', 'base']);
    expect(readFileSync(join(folder, 'sweep.html'), 'utf8')).toContain('1 of 4 runs are done');
    const { outcome, trained, resumed } = await sweepOf(config);
    expect(trained).toEqual(['hpo.gamma=2 1', 'base 2', 'hpo.gamma=2 2']);
    expect(resumed).toEqual(['hpo.gamma=2 1']);
    expect(outcome.results).toEqual((await sweepOf(prepared().config)).outcome.results);
    expect(
      readdirSync(join(folder, 'hpo.gamma=2', 'seed-1')).filter((n) => n.startsWith('checkpoint')),
    ).toEqual([]);
  });

  it('refuses what would measure nothing, before it trains', async () => {
    const { config, folder } = prepared({ eval_data: null });
    await expect(sweepOf(config)).rejects.toThrow('eval_data is missing; give held-out pairs');
    await expect(sweepOf(prepared({ method: 'dpo', rewards: [], hpo: undefined }).config)).rejects.toThrow(
      'method dpo has no rewards',
    );
    await expect(sweepOf(prepared({ sampling: { prompts: 0 } }).config)).rejects.toThrow(
      'sampling.prompts is 0',
    );
    await expect(sweepOf(prepared({ hpo: { actor_warmup_steps: 3 } }).config)).rejects.toThrow(
      'hpo.actor_warmup_steps 3 leaves none of max_steps 3 to the actor loss',
    );
    await expect(sweepOf(prepared().config, { more: ['hpo.gama=1'] })).rejects.toThrow(
      'did you mean hpo.gamma',
    );
    expect(existsSync(folder)).toBe(false);
  });

  it('is a command', async () => {
    const { config, folder } = prepared();
    const { code, out, err } = await prefgrad(
      'sweep',
      config,
      'hpo.gamma=1,2',
      '--seeds',
      '7',
      '--keep-models',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^3 of 3 runs in \d:\d\d\n/);
    expect(out).toMatch(/^base loss +\d+\.\d % +\d+\.\d % +\d/m);
    expect(err).toMatch(/run 1 of 3: accuracy .*, length .*; 2 left, about \d:\d\d/);
    expect(statSync(join(folder, 'hpo.gamma=1', 'seed-7', 'model.safetensors')).size).toBeGreaterThan(1000);
    const usage = await prefgrad('sweep', config, 'hpo.gamma=1,2', '--seeds', '1,1');
    expect(usage.code).toBe(2);
    expect(usage.err).toContain('Expected different whole numbers');
  });
});
