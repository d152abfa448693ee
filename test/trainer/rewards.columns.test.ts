import { writeFileSync } from 'node:fs';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { columnsOf } from '../../trainer/data/columns.ts';
import type { Evaluation } from '../../trainer/events.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

// Rewards that are columns of the data.

describe('a pair’s numbers', () => {
  const pair = (fields: object) => columnsOf({ ...fields }, 'pair', ['score']).map(({ score }) => score);
  it.each([
    [{ score: [0.8, 0.2] }, [0.8, 0.2]],
    [{ score: '[0.8, 0.2]' }, ['0.8', '0.2'].map(Number)],
    [{ score_chosen: 1, score_rejected: 0 }, [1, 0]],
    [{ chosen_score: '1.5', rejected_score: '-2' }, ['1.5', '-2']],
    [{ score: 3 }, [undefined, undefined]],
    [{ score: null, score_chosen: 1 }, [1, undefined]],
  ])('%j', (fields, expected) => {
    expect(pair(fields)).toEqual(expected);
  });

  it('are single ones in other rows', () => {
    expect(columnsOf({ score: 2, other: 3 }, 'unpaired', ['score'])).toEqual([{ score: 2 }]);
  });
});

const rows = textPairs(4).map((row, i) => ({ ...row, helpful: [i / 10, i], note: 'x' }));
const keys = (data: string) => ({
  ...{ data, method: 'hpo', per_device_train_batch_size: 4, logging_steps: 1, save_strategy: 'no' },
  ...{ max_steps: 1, train_sampling_strategy: 'sequential', sampling: { prompts: 1, max_new_tokens: 2 } },
  rewards: [{ column: 'helpful', weight: 2 }, { name: 'length' }],
});

const csv = () => {
  const path = `${fresh('rows')}.csv`;
  const lines = rows.map(
    ({ prompt, chosen, rejected, helpful: [a, b] }) => `"${prompt}","${chosen}","${rejected}",${a},${b}`,
  );
  writeFileSync(path, `prompt,chosen,rejected,helpful_chosen,helpful_rejected\n${lines.join('\n')}\n`);
  return path;
};
const parquet = () => {
  const path = `${fresh('rows')}.parquet`;
  const column = (name: string, data: unknown[], type: 'STRING' | 'DOUBLE' = 'STRING') => ({
    name,
    data,
    type,
  });
  const buffer = parquetWriteBuffer({
    columnData: [
      column(
        'prompt',
        rows.map((row) => row.prompt),
      ),
      column(
        'chosen',
        rows.map((row) => row.chosen),
      ),
      column(
        'rejected',
        rows.map((row) => row.rejected),
      ),
      column(
        'note',
        rows.map((row) => row.note),
      ),
      column(
        'chosen_helpful',
        rows.map((row) => row.helpful[0]),
        'DOUBLE',
      ),
      column(
        'rejected_helpful',
        rows.map((row) => row.helpful[1]),
        'DOUBLE',
      ),
    ],
  });
  writeFileSync(path, new Uint8Array(buffer));
  return path;
};

it.each([
  ['JSON lines', () => writeRows(rows)],
  ['CSV', csv],
  ['Parquet', parquet],
])('are trained on from %s, and measured on held-out rows alone', async (_format, write) => {
  const data = write();
  const model = await writeTinyModel(fresh('model'));
  const { metrics, events } = await runTraining({ ...keys(data), model, eval_data: data });
  expect(metrics[0]?.['auxiliary/helpful/chosen']).toBeCloseTo(0.15, 6);
  expect(metrics[0]?.['auxiliary/helpful/rejected']).toBeCloseTo(1.5, 6);
  const evaluations = events.flatMap((event): Evaluation[] =>
    event.type === 'evaluation' ? [event.evaluation] : [],
  );
  const { helpful, length, total } = evaluations[0]?.auxiliary ?? {};
  expect(helpful).toEqual({ chosen: expect.closeTo(0.15, 6) as number, rejected: 1.5, sampled: null });
  expect(length?.sampled).toBeTypeOf('number');
  expect(total?.rejected).toBeCloseTo(3 + (length?.rejected ?? NaN), 6);
  expect(total?.sampled).toBeNull();
});

it('must be there for every completion', async () => {
  const { helpful: _, ...without } = rows[2];
  const data = writeRows([rows[0], rows[1], { ...without, helpful_chosen: 1 }]);
  const model = await writeTinyModel(fresh('model'));
  await expect(runTraining({ ...keys(data), model })).rejects.toThrow(
    `reward helpful: finds nothing in the column helpful at ${data}:3, expected a number (for a pair helpful: [chosen, rejected], or helpful_chosen and helpful_rejected)`,
  );
});
