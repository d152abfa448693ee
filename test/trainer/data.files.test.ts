import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { blobSource, rowsFromFile } from '../../trainer/data/index.ts';
import { folder, mistake, read } from './dataFiles.ts';

describe('formats', () => {
  const rows = [
    { prompt: 'p', chosen: 'c, "1"\n', rejected: 'r' },
    { prompt: 'q 🙂', chosen: 'd', rejected: 's' },
  ];
  const expected = rows.map((row) => expect.objectContaining({ kind: 'pair', ...row }) as unknown);
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const table = (separator: string) =>
    [['chosen', 'prompt', 'note', 'rejected'], ...rows.map((r) => [r.chosen, r.prompt, '', r.rejected])]
      .map((record) => record.map(quoted).join(separator))
      .join('\r\n');
  const lines = rows.map((row) => JSON.stringify(row)).join('\n');

  it.each([
    ['a.jsonl', lines],
    ['a.ndjson', lines],
    ['a.json', JSON.stringify(rows, null, 2)],
    ['a.csv', table(',')],
    ['b.csv', `\uFEFF${table(',')}`],
    ['a.TSV', table('\t')],
    ['no-ending', lines],
    ['a.jsonl.gz', gzipSync(lines)],
    ['a.csv.gz', gzipSync(table(','))],
    ['named-wrongly.jsonl', gzipSync(lines)],
  ])('%s', async (name, content) => {
    const { rows: found, leftOut, remarks } = await read(name, content);
    expect(found).toEqual(expected);
    expect([leftOut, remarks]).toEqual([[], []]);
  });

  it('CSV spells labels', async () => {
    const { rows: found, leftOut } = await read(
      'labels.csv',
      'prompt,completion,label\np,a,True\np,b,0\np,c,1.0\np,d,good\np,e,\n',
    );
    expect(found.map((row) => ('label' in row ? row.label : undefined))).toEqual([
      true,
      false,
      true,
      undefined,
    ]);
    expect(leftOut).toEqual([
      {
        origin: { file: join(folder, 'labels.csv'), line: 5 },
        reason: 'has "good" as label, expected true or false',
      },
    ]);
  });

  it('from a Blob, as a page has it', async () => {
    const { rows: found } = await rowsFromFile(blobSource('a.csv.gz', new Blob([gzipSync(table(','))])));
    expect(found).toEqual(expected);
  });

  it('larger than a piece, with lines in the order of the file', async () => {
    const long = Array.from({ length: 3000 }, (_, i) => ({
      prompt: `p${i}`,
      completion: 'é🙂'.repeat(i % 200) + i,
    }));
    for (const [name, content] of [
      ['long.jsonl', long.map((row) => JSON.stringify(row)).join('\n')],
      ['long.json', JSON.stringify(long).replaceAll('},{', '},\n{')],
    ] as const) {
      expect(content.length).toBeGreaterThan(2 ** 19);
      const { rows: found } = await read(name, content);
      expect(found.map(({ origin }) => origin.line)).toEqual(long.map((_, i) => i + 1));
      expect(found.at(-1)).toMatchObject(long.at(-1) ?? {});
    }
  });
});

describe('what is not valid is told with its line', () => {
  const good = '{"prompt":"p","completion":"c"}';
  const header = 'prompt,chosen,rejected';
  it.each([
    ['a.jsonl', `${good}\n${good}\n{"prompt": oops}\n`, 'a.jsonl:3: is not valid JSON: Unexpected token'],
    ['a.jsonl', `${good}\n{"prompt": "cut`, 'a.jsonl:2: is not valid JSON: Unterminated string'],
    ['a.json', `[${good},\n${good},\n]`, 'a.json:3: is not valid JSON: a value is missing before ]'],
    ['a.json', `[${good},\n{"prompt": "cut`, 'a.json:2: is not valid JSON: the file ends inside a value'],
    ['a.json', `[${good}\n`, 'a.json:2: is not valid JSON: the file ends before its closing bracket'],
    ['a.json', `[${good},\n`, 'a.json:2: is not valid JSON: the file ends before its closing bracket'],
    ['a.json', `[${good}]\n\n${good}`, "a.json:3: is not valid JSON: { stands after the array's end"],
    [
      'a.csv',
      'prompt;chosen;rejected\np;c;r\n',
      'a.csv:1: is not valid CSV: the first line names the columns prompt;chosen;rejected; expected prompt, chosen and rejected, or prompt and completion, or conversations, separated by commas',
    ],
    ['a.csv', 'prompt,chosen,prompt\n', 'a.csv:1: is not valid CSV: the column prompt is there twice'],
    [
      'a.csv',
      `${header}\n"p\nq",c,r\np,c\n`,
      'a.csv:4: is not valid CSV: has 2 fields, but the first line names 3 columns; is a comma or a quote missing?',
    ],
    [
      'a.csv',
      `${header}\np,"c"d,r\np,c,r\n`,
      'a.csv:2: is not valid CSV: trailing quote on quoted field is malformed; double',
    ],
    ['a.csv', `${header}\np,c,r\np,"c,r\np,c,r\n`, 'a.csv:3: is not valid CSV: quoted field unterminated'],
    ['a.csv', header, 'a.csv: has no row that can be used: it holds no rows'],
    ['a.csv', '', 'a.csv: has no row that can be used: it holds no rows'],
    [
      'a.txt',
      'some text',
      'a.txt: is no data file that can be read; expected .jsonl, .json, .csv or .tsv (also as .gz), or .parquet',
    ],
    [
      'a.jsonl',
      Buffer.concat([Buffer.from(`${good}\n${good}\n`), Buffer.from([34, 0xe9, 34])]),
      'a.jsonl:3: has bytes that are no UTF-8 text; save the file as UTF-8',
    ],
    ['a.csv', Buffer.from(`\uFEFF${header}\n`, 'utf16le'), 'a.csv: is UTF-16 text; save the file as UTF-8'],
    [
      'a.jsonl.gz',
      gzipSync(`${good}\n`.repeat(50)).subarray(0, 40),
      'a.jsonl.gz: the gzip file is truncated or damaged (',
    ],
  ])('%s %j', async (name, content, sentence) => {
    const said = await mistake(name, content);
    expect(said).toContain(sentence);
    expect(said.split('\n')).toHaveLength(1);
  });
});
