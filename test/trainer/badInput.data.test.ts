import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from './refused.ts';
import { expectRefused as refused, trainCli } from './refused.ts';
import { fresh, writeRows } from './runs.ts';
import { textPairs, writeTinyModel } from './tinyModel.ts';

// Data files of every kind, whole and not, through the command line.

let model = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'));
});

const train = (data: unknown, keys: Record<string, unknown> = {}) => trainCli({ model, data, ...keys });

/** An error before the model is loaded and a folder is made. */
function expectRefused(outcome: Outcome, message: RegExp): void {
  refused(outcome, message);
  expect(outcome.err).not.toContain('loading the model');
  expect(existsSync(outcome.outputDir)).toBe(false);
}

function file(ending: string, content: string | Uint8Array): string {
  const path = `${fresh('rows')}.${ending}`;
  writeFileSync(path, content);
  return path;
}
const parquet = (count: number) => {
  const rows = textPairs(count);
  const columnData = (['prompt', 'chosen', 'rejected'] as const).map((name) => ({
    name,
    data: rows.map((row) => row[name]),
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
};
const csv = (count: number) =>
  ['prompt,chosen,rejected', ...textPairs(count).map((r) => `${r.prompt},${r.chosen},"${r.rejected}"`)].join(
    '\n',
  );

describe('data', () => {
  it('as CSV and Parquet gives the run that JSON lines give', async () => {
    const metrics = async (data: string) => {
      const { code, err, outputDir } = await train(data);
      expect(code, err).toBe(0);
      const lines = readFileSync(join(outputDir, 'metrics.jsonl'), 'utf8').trim().split('\n');
      return lines.map((line) => {
        const { loss, grad_norm } = JSON.parse(line) as Record<string, number>;
        return [loss, grad_norm];
      });
    };
    const expected = await metrics(writeRows(textPairs(5)));
    expect(expected).toHaveLength(2);
    expect(await metrics(file('csv', csv(5)))).toEqual(expected);
    expect(await metrics(file('parquet', parquet(5)))).toEqual(expected);
  });

  it('that is not whole: one sentence, before the model is loaded', async () => {
    expectRefused(
      await train(file('csv', 'id,text\n1,a\n')),
      /rows-\d+\.csv:1: is not valid CSV: the first line names the columns id, text; expected prompt, chosen and rejected/,
    );
    expectRefused(
      await train(file('csv', csv(5).replace(/"\n/, '\n'))),
      /rows-\d+\.csv:\d: is not valid CSV: .*quote/,
    );
    expectRefused(
      await train(file('parquet', parquet(5).slice(0, 300))),
      /rows-\d+\.parquet: the Parquet file is truncated or damaged: its footer can not be read/,
    );
    expectRefused(
      await train(file('xlsx', 'PK')),
      /rows-\d+\.xlsx: is no data file that can be read; expected \.jsonl, \.json, \.csv/,
    );
    const good = writeRows(textPairs(5));
    expectRefused(
      await train([good, file('jsonl', '{"a": 1}\n{"prompt": \n')]),
      /rows-\d+\.jsonl:2: is not valid JSON/,
    );
    expectRefused(await train([good, good]), /data: \S+ is there twice; name it once, with a weight/);
  });

  it('at an address: a 404 is an error, a dropped connection is not', async () => {
    const body = Buffer.from(
      textPairs(400)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(''),
    );
    let drops = 2;
    const ranges: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      if (request.url !== '/rows.jsonl') return void response.writeHead(404).end();
      const { range } = request.headers;
      ranges.push(range);
      const start = Number(/\d+/.exec(range ?? '')?.[0] ?? 0);
      response.writeHead(start > 0 ? 206 : 200, {
        etag: '"x"',
        'content-length': body.length - start,
        'content-range': `bytes ${start}-${body.length - 1}/${body.length}`,
      });
      if (drops-- > 0)
        response.write(body.subarray(start, start + 5000), () => setTimeout(() => response.destroy(), 200));
      else response.end(body.subarray(start));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { code, err } = await train(`${address}/rows.jsonl`);
      expect(code, err).toBe(0);
      expect(ranges).toEqual([undefined, 'bytes=5000-', 'bytes=10000-']);
      expectRefused(
        await train(`${address}/none.jsonl`),
        /none\.jsonl: the server answered 404, there is no such file; check the address/,
      );
    } finally {
      server.close();
    }
  });

  it('in a mixture: an epoch has the shares that the weights say', async () => {
    const [few, many] = [writeRows(textPairs(2), 'few.jsonl'), writeRows(textPairs(12, 2), 'many.jsonl')];
    const { code, err } = await train(
      [
        { path: few, weight: 1 },
        { path: many, weight: 1 },
      ],
      { max_steps: -1, num_train_epochs: 1 },
    );
    expect(code, err).toBe(0);
    expect(err).toContain('step 12/12');
    expect(err).toMatch(
      /few\.jsonl-\d+: its weight repeats its 2 rows 6\.00 times in an epoch of 24; they may be learnt by heart/,
    );
  });

  it('with rows that are left out or odd: counted, the first said, all of them listed', async () => {
    const rows = textPairs(4);
    const bad = Array.from({ length: 7 }, () => ({ prompt: 'a', chosen: '', rejected: 'b' }));
    const odd = [
      rows[0],
      { ...rows[1], chosen: rows[1].rejected, rejected: rows[1].chosen },
      { prompt: 'e', chosen: 'f', rejected: 'f' },
    ];
    const data = writeRows([...rows, ...bad, ...odd]);
    const { code, err, outputDir } = await train(data);
    expect(code, err).toBe(0);
    expect(err).toMatch(/7 rows left out: \S+:5 \(has an empty chosen\); .*; … and 2 more/);
    expect(err).toMatch(/1 row used, but look at them: \S+:12 \(repeats \S+:1\)/);
    expect(err).toMatch(
      /1 row used, but look at them: \S+:13 \(prefers what \S+:2 rejects, for the same prompt\)/,
    );
    expect(err).toMatch(/1 row used, but look at them: \S+:14 \(has equal chosen and rejected/);
    expect(err).toMatch(/all listed in out-\d+\/data_notes\.jsonl/);
    const listed = readFileSync(join(outputDir, 'data_notes.jsonl'), 'utf8').trim().split('\n');
    expect(listed.map((line) => JSON.parse(line) as unknown)).toEqual([
      ...bad.map((_, i) => ({ file: data, line: 5 + i, left_out: 'has an empty chosen' })),
      { file: data, line: 12, remark: `repeats ${data}:1` },
      { file: data, line: 13, remark: `prefers what ${data}:2 rejects, for the same prompt` },
      { file: data, line: 14, remark: 'has equal chosen and rejected, which teach no preference' },
    ]);
  });
});
