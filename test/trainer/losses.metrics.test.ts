import { afterAll, describe, expect, it } from 'vitest';
import { ReferenceDevice, WasmDevice } from '../../engine/index.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import * as losses from '../../trainer/losses/index.ts';
import type { Loss } from '../../trainer/losses/index.ts';
import { drawInputs, loadLoss } from './lossBatch.ts';
import { beta, chosenTokens, desensitised, logOdds, mixed, near, pairs } from './lossCases.ts';
import { ls, mean, ratio, sidesOf } from './lossSides.ts';

const reference = new ReferenceDevice();
afterAll(() => reference.dispose());

describe('metrics', () => {
  const metricsOf = async (loss: Loss, rows: readonly TokenizedRow[]) => {
    const referenceOf = (row: TokenizedRow) => near(row).slice(0, loss.sequence(row).completions.length);
    const inputs = drawInputs(loss, rows, referenceOf, 17);
    const loaded = await loadLoss(reference, loss, rows);
    return { inputs, metrics: (await loaded.run(inputs)).metrics };
  };
  const paired = ['chosen', 'rejected', 'margins', 'accuracies'].map((name) => `rewards/${name}`);
  const names = [...paired, 'logps/chosen', 'logps/rejected'];

  it("are TRL's: rewards are β times log-ratios, whatever the loss and its divergence", async () => {
    for (const loss of [losses.dpo({ beta }), losses.ipo({ beta, divergence: losses.jsDivergence }), mixed]) {
      const { inputs, metrics } = await metricsOf(loss, pairs);
      const sides = sidesOf(pairs, inputs);
      expect(Object.keys(metrics)).toEqual(names);
      expect(metrics['rewards/chosen']).toBeCloseTo(mean(sides.map(([w]) => beta * ratio(w))), 10);
      expect(metrics['rewards/margins']).toBeCloseTo(
        mean(sides.map(([w, l]) => beta * (ratio(w) - ratio(l)))),
        10,
      );
      expect(metrics['rewards/accuracies']).toBe(mean(sides.map(([w, l]) => (ratio(w) > ratio(l) ? 1 : 0))));
      expect(metrics['logps/rejected']).toBeCloseTo(mean(sides.map(([, l]) => l.logp)), 10);
    }
  });

  it('of LD-DPO count what its loss counts', async () => {
    const { inputs, metrics } = await metricsOf(
      losses.lengthDesensitised(losses.dpo({ beta }), { alpha: 0.25 }),
      pairs,
    );
    const sides = sidesOf(pairs, inputs, desensitised);
    expect(metrics['logps/chosen']).toBeCloseTo(mean(sides.map(([w]) => w.logp)), 10);
    expect(metrics['rewards/rejected']).toBeCloseTo(mean(sides.map(([, l]) => beta * ratio(l))), 10);
  });

  it('of losses without a reference are β log π, and have the likelihood beside', async () => {
    const cpo = await metricsOf(losses.cpo({ beta, alpha: 0.5 }), pairs);
    const sides = sidesOf(pairs, cpo.inputs);
    expect(Object.keys(cpo.metrics)).toEqual([...names, 'nll_loss']);
    expect(cpo.metrics['rewards/chosen']).toBeCloseTo(mean(sides.map(([w]) => beta * w.logp)), 10);
    expect(cpo.metrics['nll_loss']).toBeCloseTo(chosenTokens(sides, cpo.inputs), 10);

    const { inputs, metrics } = await metricsOf(losses.orpo({ beta }), pairs);
    const own = sidesOf(pairs, inputs);
    expect(Object.keys(metrics)).toEqual([...names, 'nll_loss', 'log_odds_ratio', 'log_odds_chosen']);
    expect(metrics['logps/chosen']).toBeCloseTo(mean(own.map(([w]) => w.logp / w.tokens)), 10);
    expect(metrics['log_odds_chosen']).toBeCloseTo(mean(own.map(([w, l]) => logOdds(w) - logOdds(l))), 10);
    expect(metrics['log_odds_ratio']).toBeCloseTo(mean(own.map(([w, l]) => ls(logOdds(w) - logOdds(l)))), 10);
    expect((await metricsOf(losses.simpo({ alpha: 0 }), pairs)).metrics['nll_loss']).toBe(0);
  });
});

it("ORPO's odds keep their precision where the model is nearly certain", async () => {
  const device = await WasmDevice.create({ threads: 1 });
  const loss = losses.orpo({ beta });
  const inputs = drawInputs(loss, pairs.slice(0, 1), () => [], 3);
  const { owners } = inputs.batch.packed;
  // p = 1 − 1e-6 for the chosen tokens, e^−40 for the rejected ones.
  const tokenLogps = Float64Array.from(owners, (owner) => (owner === 1 ? -40 : Math.log1p(-1e-6)));
  const loaded = await loadLoss(device, loss, pairs.slice(0, 1));
  const { metrics } = await loaded.run({ ...inputs, tokenLogps });
  expect(metrics['log_odds_chosen']).toBeCloseTo(Math.log((1 - 1e-6) / 1e-6) + 40, 3);
  await device.dispose();
});
