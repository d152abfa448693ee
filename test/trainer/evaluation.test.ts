import { afterAll, describe, expect, it } from 'vitest';
import { WasmDevice } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { parseSettings } from '../../trainer/config.ts';
import type { EvaluationOptions } from '../../trainer/evaluation.ts';
import { Evaluator } from '../../trainer/evaluation.ts';
import { dpo } from '../../trainer/losses/dpo.ts';
import { apoZeroUnpaired } from '../../trainer/losses/apoZeroUnpaired.ts';
import type { Loss } from '../../trainer/losses/loss.ts';
import { sft } from '../../trainer/losses/sft.ts';
import { Scorer } from '../../trainer/score.ts';
import { fresh } from './runs.ts';
import { tinyModel, tokenPairs, writeTinyModel } from './tinyModel.ts';
import { someReference } from './tinyRun.ts';

const device = await WasmDevice.create({ threads: 1 });
afterAll(() => device.dispose());

// DPO and an unpaired loss compute both sides of a pair, SFT the chosen one alone, and without a loss nothing is known of either.
const losses: readonly (readonly [string, Loss | undefined])[] = [
  ['dpo', dpo()],
  ['apo_zero_unpaired', apoZeroUnpaired()],
  ['sft', sft()],
  ['no loss', undefined],
];

describe.each(losses)('held-out pairs with %s', (_, loss) => {
  it("are judged by the model's own log-probs, whoever computes them", async () => {
    const files = await openModelFiles(await writeTinyModel(fresh('model')));
    const { tokenizer } = files;
    if (tokenizer === undefined) throw new Error('the tiny model has no tokenizer');
    const model = tinyModel(device);
    const rows = tokenPairs(7, 7);
    const { sampling } = parseSettings({ method: 'dpo', sampling: { prompts: 0 } });
    const options: EvaluationOptions = {
      ...{ model, device, tokenizer, rows, sampling, batchSize: 2, seed: 3, rewards: [] },
      ...(loss ? { loss: { loss, referenceOf: (row) => someReference(row).slice(0, 2) } } : {}),
      ...{ normalization: new Map(), stopTokens: [] },
    };
    const { accuracy, margin, pairs, metrics } = await new Evaluator(options).evaluate(1);

    const scorer = new Scorer(model, device);
    const scores = await scorer.score(
      rows.map(({ promptIds, chosen, rejected }) => ({
        promptIds,
        completions: [chosen.ids, rejected.ids],
      })),
    );
    scorer.dispose();
    const mean = (of: (scores: readonly [number, number]) => number) =>
      scores.reduce((sum, [chosen, rejected]) => sum + of([chosen.logp, rejected.logp]), 0) / rows.length;
    expect(pairs).toBe(rows.length);
    expect(accuracy).toBe(mean(([chosen, rejected]) => (chosen > rejected ? 1 : 0)));
    expect(accuracy).toBeGreaterThan(0);
    expect(accuracy).toBeLessThan(1);
    expect(margin).toBeCloseTo(
      mean(([chosen, rejected]) => chosen - rejected),
      4,
    );
    expect(metrics['logps/chosen']).toBeCloseTo(
      mean(([chosen]) => chosen),
      4,
    );
    expect(metrics['logps/rejected']).toBeCloseTo(
      mean(([, rejected]) => rejected),
      4,
    );
    await files.close();
  });
});
