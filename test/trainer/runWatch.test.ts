import { beforeAll, describe, expect, it } from 'vitest';
import { BestModel } from '../../trainer/bestModel.ts';
import { parseSettings } from '../../trainer/config.ts';
import type { Evaluation } from '../../trainer/events.ts';
import type { MetricsLine } from '../../trainer/metrics.ts';
import { RunWatch } from '../../trainer/runWatch.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

const settings = parseSettings({
  ...{ method: 'hpo', beta: 0.1, rewards: [{ name: 'length' }], hpo: { actor_warmup_steps: 3 } },
});
const watching = (usesReference = true) =>
  new RunWatch({ settings, usesReference, rewards: { min: 0, max: 1, baseline: 0.6 } });

/** The codes that lines with these numbers raise, each with its step. */
function raised(lines: Omit<MetricsLine, 'step'>[], watch = watching()): [string, number | undefined][] {
  return lines.flatMap((line, i) =>
    watch.see({ step: i + 1, ...line }).map(({ code, step }): [string, number | undefined] => [code, step]),
  );
}
const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
/** A line in which log-ratios to the reference are these, in nats; the reference gives −100 and −120. */
const moved = (chosen: number, rejected: number) => ({
  'rewards/chosen': 0.1 * chosen,
  'rewards/rejected': 0.1 * rejected,
  'rewards/margins': 0.1 * (chosen - rejected),
  'logps/chosen': -100 + chosen,
  'logps/rejected': -120 + rejected,
});

describe('RunWatch', () => {
  it('says nothing of what DPO does on purpose', () => {
    expect(raised([moved(0, 0), ...times(5, moved(2, -30)), ...times(5, moved(-9, -35))])).toEqual([]);
  });

  it('warns once, at the second line in a row', () => {
    expect(raised([moved(-30, -30), moved(0, 0), ...times(5, moved(-30, -30))])).toEqual([['kl', 4]]);
  });

  it('of the KL, from both sides or from KTO’s estimate', () => {
    const [warning] = [moved(-30, -30), moved(-30, -30)].flatMap(
      (
        (watch) => (line: object, i: number) =>
          watch.see({ step: i, ...line })
      )(watching()),
    );
    expect(warning?.message).toBe(
      "the model leaves the reference fast (KL): chosen and rejected completions have lost 30 nats on average of the reference's 110; " +
        'lower learning_rate, raise beta, or stop earlier (early_stopping_patience)',
    );
    expect(raised(times(3, { kl: 11 }))).toEqual([['kl', 2]]);
    expect(raised(times(3, { kl: 9 }))).toEqual([]);
    // Rewards of losses without a reference are no log-ratios.
    expect(raised(times(3, moved(-30, -30)), watching(false))).toEqual([]);
  });

  it('of chosen completions that become less likely while the margin grows', () => {
    expect(raised([moved(0, 0), ...times(3, moved(-11, -25))])).toEqual([['likelihood', 3]]);
    expect(raised([moved(0, -40), ...times(3, moved(-11, -25))])).toEqual([]); // the margin shrinks
  });

  it('of clipped weights, and of a value head outside the rewards once the actor is on', () => {
    expect(raised(times(3, { 'weight/clipped': 0.06 }))).toEqual([['weights_clipped', 2]]);
    expect(raised(times(3, { 'weight/clipped': 0.05 }))).toEqual([]);
    expect(raised(times(6, { 'value/mean': 1.2 }))).toEqual([['value_head', 5]]);
    expect(raised(times(6, { 'value/mean': -0.11 }))).toEqual([['value_head', 5]]);
    expect(raised(times(6, { 'value/mean': 0.8 }))).toEqual([]);
  });

  it('of a value head that scales all weights', () => {
    // exp(5 (0.6 − 0.9)) = 0.22; exp(5 (0.6 − 0.3)) = 4.5
    expect(raised(times(6, { 'value/mean': 0.9 }))).toEqual([['value_scale', 5]]);
    const watch = watching();
    const [warning] = [4, 5].flatMap((step) => watch.see({ step, 'value/mean': 0.3 }));
    expect(warning?.message).toBe(
      "the value head is off: its mean is 0.3, and that of a settled one about 0.6, so that the actor's weights are 4.48 times what " +
        'they would be, as if hpo.gamma 0.5 were 2.24; lower hpo.value_learning_rate, or raise hpo.actor_warmup_steps until it has settled',
    );
  });

  it('of what is not finite at once, with its names', () => {
    const watch = watching();
    expect(watch.see({ step: 7, loss: null, grad_norm: null })).toEqual([
      { code: 'not_finite', step: 7, message: 'loss, grad_norm not finite; lower learning_rate?' },
    ]);
    expect(watch.see({ step: 8, loss: null })).toEqual([]);
  });

  it('goes on after a resume with what it had seen and told', () => {
    const watch = watching();
    watch.resume([{ step: 1, 'weight/clipped': 0.5 }], [{ code: 'kl' }]);
    expect(raised([{ 'weight/clipped': 0.5, kl: 20 }, { kl: 20 }], watch)).toEqual([['weights_clipped', 1]]);
    expect(watch.once([{ code: 'kl', message: '' }])).toEqual([]);
  });
});

describe('BestModel', () => {
  const evaluation = (step: number, loss: number): Evaluation => ({
    ...{ step, pairs: 4, accuracy: -loss, metrics: { loss }, auxiliary: {} },
  });
  const watch = (keys: Record<string, unknown>) =>
    new BestModel(parseSettings({ method: 'dpo', eval_strategy: 'steps', ...keys }));
  const seen = (best: BestModel, losses: number[]) =>
    losses.map((loss, i) => [best.see(evaluation(i, loss)), best.exhausted]);

  it('counts as Transformers does: the best by any gain, patience by gains above the threshold', () => {
    const best = watch({ early_stopping_patience: 2, early_stopping_threshold: 0.1 });
    expect(seen(best, [0.1, 0.9, 0.7, 0.65, 0.4, NaN, 0.35])).toEqual([
      [false, false], // before training
      [true, false],
      [true, false],
      [true, false], // waited once
      [true, false],
      [false, false],
      [true, true],
    ]);
    expect(best.best).toEqual({ step: 6, metric: 'eval_loss', value: 0.35 });
  });

  it('takes the greater where the metric is no loss, or where told so', () => {
    const keys = { load_best_model_at_end: true, metric_for_best_model: 'eval_accuracy' };
    for (const [more, last] of [
      [{}, 1],
      [{ greater_is_better: false }, 3],
    ] as const) {
      const best = watch({ ...keys, ...more });
      seen(best, [0.5, 0.1, 0.2, 0.3]);
      expect(best.best?.step).toBe(last);
    }
  });

  it('says where the best is no better than before training', () => {
    const best = watch({ load_best_model_at_end: true });
    seen(best, [0.5, 0.6, 0.55]);
    expect(best.disappointment).toMatch(
      /^the best eval_loss, 0\.55 at step 2, is no better than before .*\(0\.5\)/,
    );
    seen(best, [0.5, 0.4]);
    expect(best.disappointment).toBeUndefined();
  });
});

describe('a run', () => {
  let keys: Record<string, unknown> = {};
  beforeAll(async () => {
    keys = {
      ...{
        model: await writeTinyModel(fresh('model')),
        data: writeRows(textPairs(8)),
        method: 'hpo',
        max_length: 60,
      },
      ...{ per_device_train_batch_size: 2, logging_steps: 1, save_strategy: 'no', max_steps: 5 },
    };
  });
  const warnings = async (more: Record<string, unknown>) =>
    (await runTraining({ ...keys, ...more })).events.flatMap((event) =>
      event.type === 'warning' && event.code !== undefined ? [event] : [],
    );

  it('is warned of rewards against the preferences, of clipped weights and of a lost reference', async () => {
    const data = writeRows(
      textPairs(8).map(({ prompt, chosen, rejected }) => ({
        prompt,
        chosen,
        rejected: `${rejected} ink and lamp`,
      })),
    );
    const all = await warnings({
      ...{ data, rewards: [{ name: 'length', normalize: 'standardize' }], optim: 'sgd', learning_rate: 30 },
      ...{ lr_scheduler_type: 'constant', max_grad_norm: 1 },
      hpo: { actor_warmup_steps: 0, weight_clip: 2 },
    });
    expect(all.map(({ code }) => code)).toEqual([
      ...['reward_conflict/length', 'reward_clipped/total'],
      ...['weights_clipped', 'value_scale', 'kl', 'likelihood'],
    ]);
    expect(all.find(({ code }) => code === 'weights_clipped')?.step).toBe(2);
  });

  it('is warned of rewards that are all the same', async () => {
    const all = await warnings({ rewards: [{ name: 'regex', pattern: 'never there' }] });
    expect(all.map(({ code }) => code)).toContain('reward_alike/regex');
  });
});
