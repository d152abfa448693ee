import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TrainEvent } from '../../trainer/events.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

// Invariant 6 of ../shared/hpo.md.

let model = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'));
});

/** What the reward modules below were called with. */
const calls: [string, string][] = [];
Object.assign(globalThis, { rewardCalls: calls });
afterEach(() => void calls.splice(0));

function rewardModule(body: string): string {
  const path = `${fresh('reward')}.mjs`;
  writeFileSync(
    path,
    `export default (prompt, completion) => { globalThis.rewardCalls.push([prompt, completion]); ${body} };\n`,
  );
  return path;
}

const rows = textPairs(5);
const keys = (body: string, data = writeRows(rows)) => ({
  ...{ model, data, method: 'hpo', per_device_train_batch_size: 2, logging_steps: 1, save_strategy: 'no' },
  rewards: [{ module: rewardModule(body), name: 'own' }],
});

describe('6. rewards', () => {
  it('are computed once per prompt and completion, before the first step, over several epochs', async () => {
    const [first] = rows;
    const again = { ...first, rejected: ' another' };
    let before = -1;
    const run = await runTraining(
      { ...keys('return completion.length;', writeRows([...rows, again])), num_train_epochs: 3 },
      { onEvent: ({ type }) => void (type === 'step' && before < 0 && (before = calls.length)) },
    );
    // 6 pairs have 12 completions, of which the first pair's chosen one occurs twice.
    expect(before).toBe(11);
    expect(calls.length).toBe(11);
    expect(new Set(calls.map((call) => JSON.stringify(call))).size).toBe(11);
    expect(calls).toContainEqual([first?.prompt, first?.chosen]);
    expect(run.metrics.length).toBe(9);
    for (const line of run.metrics) {
      expect(line['auxiliary/own/chosen']).toBeGreaterThan(0);
      expect(line['auxiliary/own/rejected']).toBeGreaterThan(0);
    }
  });

  it('of held-out rows are computed once too, whatever the number of evaluations', async () => {
    const held = textPairs(3, 9);
    await runTraining({
      ...keys('return 1;'),
      ...{ eval_data: writeRows(held), eval_strategy: 'steps', eval_steps: 1, sampling: { prompts: 0 } },
      max_steps: 3,
    });
    expect(calls.length).toBe(10 + 6);
  });

  for (const [what, body, message] of [
    ['NaN', 'return NaN;', 'gives NaN at'],
    ['an infinity', 'return -Infinity;', 'gives -Infinity at'],
    ['a text', "return '1';", 'gives a string at'],
    ['an exception', "throw new Error('no such word');", 'fails at'],
  ] as const)
    it(`that give ${what} name the row and stop the run before its first step`, async () => {
      const data = writeRows(rows);
      const wrong = JSON.stringify(rows[3]?.rejected);
      const outputDir = fresh();
      const events: TrainEvent[] = [];
      const run = runTraining(
        { ...keys(`if (completion === ${wrong}) { ${body} } return 0.5;`, data), output_dir: outputDir },
        { onEvent: (event) => events.push(event) },
      );
      await expect(run).rejects.toThrow(`reward own: ${message} ${data}:4`);
      await expect(run).rejects.toThrow(wrong);
      expect(events.filter(({ type }) => type !== 'progress')).toEqual([]);
      expect(existsSync(join(outputDir, 'metrics.jsonl'))).toBe(false);
    });
});
