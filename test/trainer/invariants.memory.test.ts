import { afterAll, describe, expect, it } from 'vitest';
import { WasmDevice } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { parseSettings } from '../../trainer/config.ts';
import { Evaluator } from '../../trainer/evaluation.ts';
import { dpo } from '../../trainer/losses/dpo.ts';
import { hpo } from '../../trainer/losses/hpo.ts';
import { fresh } from './runs.ts';
import { EOS, tinyModel, tokenPairs, writeTinyModel } from './tinyModel.ts';
import { openLoop, someReference, someReward, startedHead } from './tinyRun.ts';

// Memory is planned: what a step or an evaluation takes beside the plan, it gives back.

const device = await WasmDevice.create({ threads: 2 });
afterAll(() => device.dispose());

describe('bytes in use', () => {
  it('after step 200 are those after step 2', async () => {
    const model = tinyModel(device);
    const valueHead = await startedHead(device, model, { dropout: 0.1 });
    const loss = hpo({ base: dpo(), valueHead, rewardOf: someReward });
    const loaded = device.memory;
    const keys = { optim: 'adamw', learning_rate: 1e-3, max_steps: 200 };
    const loop = await openLoop({ model, device, loss, rows: tokenPairs(9), keys });
    const planned = device.memory;
    const seen = new Set<number>();
    for await (const { step, metrics } of loop.steps()) {
      expect(metrics['memory/bytes']).toBe(device.memory.total);
      if (step >= 2) seen.add(device.memory.total);
    }
    expect(seen.size).toBe(1);
    // Variables are placed before the first step; only the call records of two programs come with it.
    expect(device.memory.variables).toBe(planned.variables);
    expect(device.memory.arena).toBe(planned.arena);
    const { parameters, gradients, optimizer, arena, total } = loop.memory;
    expect(total).toBe(parameters + gradients + optimizer + arena);
    expect(planned.variables).toBeGreaterThanOrEqual(parameters + gradients + optimizer);
    expect(planned.variables).toBeLessThan(1.2 * (parameters + gradients + optimizer));
    expect(device.memory.arena).toBeGreaterThanOrEqual(arena);
    loop.dispose();
    expect(device.memory.variables).toBe(loaded.variables);
  });

  it('after each of many evaluations between steps are the same', async () => {
    const files = await openModelFiles(await writeTinyModel(fresh('model')));
    const { tokenizer } = files;
    if (tokenizer === undefined) throw new Error('the tiny model has no tokenizer');
    const model = tinyModel(device);
    const loss = dpo();
    const rows = tokenPairs(4, 2);
    const loop = await openLoop({ model, device, loss, rows, keys: { max_steps: 12 } });
    const { sampling } = parseSettings({
      method: 'dpo',
      sampling: { prompts: 3, max_new_tokens: 9, temperature: 1 },
    });
    const evaluator = new Evaluator({
      ...{ model, device, tokenizer, sampling, batchSize: 2, seed: 3 },
      rows: tokenPairs(5, 7),
      loss: { loss, referenceOf: (row) => someReference(row).slice(0, 2) },
      rewards: [{ name: 'long', weight: 1, normalize: 'none', score: (_, completion) => completion.length }],
      normalization: new Map(),
      stopTokens: [EOS],
    });
    const seen = new Set<number>();
    for await (const { step } of loop.steps()) {
      const evaluation = await evaluator.evaluate(step);
      expect(evaluation.pairs).toBe(5);
      expect(evaluation.samples?.length).toBe(3);
      seen.add(device.memory.total);
    }
    expect(seen.size).toBe(1);
    loop.dispose();
    await files.close();
  });
});
