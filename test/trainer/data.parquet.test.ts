import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../models/files/source.ts';
import { entriesOf } from '../../trainer/data/entries.ts';
import { readRows } from '../../trainer/data/read.node.ts';
import { mistake, read } from './dataFiles.ts';

describe('Parquet', () => {
  const count = 25;
  const column = (name: string, make: (i: number) => unknown) => ({
    name,
    data: Array.from({ length: count }, (_, i) => make(i)),
  });
  const message = (role: string, content: string) => ({ role, content });
  const written = (codec: 'SNAPPY' | 'UNCOMPRESSED' = 'SNAPPY') =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          column('prompt', (i) => `p${i}`),
          column('completion', (i) => `c${i} 🙂`),
          { ...column('label', (i) => (i === 3 ? null : BigInt(i % 2))), type: 'INT64', nullable: true },
          column('score', (i) => i / 2),
        ],
        codec,
        rowGroupSize: 10,
      }),
    );

  it.each(['SNAPPY', 'UNCOMPRESSED'] as const)('%s, in row groups', async (codec) => {
    const { rows } = await read(`${codec}.parquet`, written(codec));
    expect(rows.map(({ origin }) => origin.line)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(rows[11]).toMatchObject({ kind: 'unpaired', prompt: 'p11', completion: 'c11 🙂', label: true });
    expect(rows[3]).toMatchObject({ kind: 'completion', prompt: 'p3' });
  });

  it('with conversations, as the hub keeps them', async () => {
    const conversations = parquetWriteBuffer({
      columnData: [
        column('chosen', (i) => [message('user', `p${i}`), message('assistant', 'c')]),
        column('rejected', (i) => [message('user', `p${i}`), message('assistant', 'r')]),
      ],
      schema: undefined,
    });
    const { rows } = await read('conversations.parquet', new Uint8Array(conversations));
    expect(rows[4]).toMatchObject({
      kind: 'pair',
      prompt: [message('user', 'p4')],
      chosen: [message('assistant', 'c')],
    });
  });

  it.each(['polars', 'v2'])('by others (%s)', async (name) => {
    const { rows, leftOut } = await readRows(
      join(import.meta.dirname, `../fixtures/parquet/${name}.parquet`),
    );
    expect([rows.length, leftOut.length]).toEqual([40, 0]);
    expect(rows[7]).toEqual({
      kind: 'pair',
      origin: { file: expect.stringContaining(name) as string, line: 8 },
      prompt: [message('system', 'Be brief.'), message('user', 'Question 7 “ä” 🙂')],
      chosen: [message('assistant', 'Yes 7Yes 7Yes 7')],
      rejected: [message('assistant', 'No 7')],
    });
  });

  it('with tool calls, whose empty fields Arrow fills with nulls', async () => {
    const { rows } = await readRows(join(import.meta.dirname, '../fixtures/parquet/tools.parquet'));
    const call = { type: 'function', function: { name: 'add', arguments: { a: 2, b: 2 } } };
    expect(rows[1]).toMatchObject({ kind: 'unpaired', label: false });
    expect([rows[1].prompt, rows[1].template]).toEqual([
      [message('user', '2+2?'), { ...message('assistant', ''), tool_calls: [call] }, message('tool', '4')],
      { tools: [{ type: 'function', function: { name: 'add' } }] },
    ]);
  });

  it('reads only the columns that make rows', async () => {
    const bytes = written();
    const parts: [number, number][] = [];
    const source = { ...memorySource('a.parquet', bytes) };
    const watched = {
      ...source,
      async read(offset: number, length: number) {
        parts.push([offset, length]);
        return source.read(offset, length);
      },
    };
    const keys = new Set<string>();
    for await (const some of entriesOf(watched))
      for (const { value } of some) for (const key of Object.keys(value as object)) keys.add(key);
    expect([...keys]).toEqual(['prompt', 'completion', 'label']);
    expect(parts.length).toBeGreaterThan(2);
  });

  it('that is not whole says so', async () => {
    const bytes = written();
    const damaged =
      /^a\.parquet: the Parquet file is truncated or damaged: its footer can not be read .* again$/;
    for (const length of [3, 11, 100, bytes.length - 1])
      expect(await mistake('a.parquet', bytes.slice(0, length))).toMatch(damaged);
    const cut = new Uint8Array([...bytes.slice(0, 40), ...bytes.slice(200)]);
    expect(await mistake('a.parquet', cut)).toMatch(
      /^a\.parquet: the (Parquet )?file is truncated or damaged/,
    );
    const noise = bytes.map((byte, i) => (i > 20 && i < 400 ? byte ^ 0x55 : byte));
    expect(await mistake('a.parquet', noise)).toMatch(/rows 1 to 10 can not be read|no row that can be used/);
  });

  it('with other columns names them', async () => {
    const other = parquetWriteBuffer({
      columnData: [column('text', (i) => `t${i}`), column('id', (i) => i)],
    });
    expect(await mistake('other.parquet', new Uint8Array(other))).toBe(
      'other.parquet: has the columns text, id; expected prompt, chosen and rejected, or prompt and completion, or conversations',
    );
  });
});
