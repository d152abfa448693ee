import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Evaluation } from '../../trainer/events.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

it('a reward that fails on what the model samples does not end the run', async () => {
  const rows = textPairs(4);
  const module = `${fresh('picky')}.mjs`;
  const known = JSON.stringify(rows.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  writeFileSync(
    module,
    `const known = new Set(${known});\nexport default (_, text) => { if (!known.has(text)) throw new Error('what?'); return 1; };\n`,
  );
  const data = writeRows(rows);
  const { events } = await runTraining({
    ...{ model: await writeTinyModel(fresh('model')), data, eval_data: data, method: 'hpo', max_steps: 1 },
    ...{ save_strategy: 'no', sampling: { prompts: 3, max_new_tokens: 3 } },
    rewards: [{ name: 'picky', module }, { name: 'length' }],
  });
  const found = events.flatMap((event): Evaluation[] =>
    event.type === 'evaluation' ? [event.evaluation] : [],
  );
  expect(found.length).toBe(2);
  for (const { auxiliary, samples } of found) {
    expect(auxiliary['picky']).toEqual({ chosen: 1, rejected: 1, sampled: null, failed: 3 });
    expect(auxiliary['length']?.sampled).toBeTypeOf('number');
    expect(auxiliary['total']).toMatchObject({ sampled: null, failed: 3 });
    expect(samples?.map(({ rewards }) => rewards['picky'])).toEqual([null, null, null]);
  }
  expect(events.at(-1)).toMatchObject({ type: 'end', status: 'done' });
});
