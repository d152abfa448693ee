import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChatTemplate, type ChatMessage } from '../../models/chatTemplate.ts';
import { memorySource } from '../../models/files/source.ts';
import { parseSettings } from '../../trainer/config.ts';
import {
  asPairs,
  asUnpaired,
  rowsFromObjects,
  tokenizeRows,
  type Row,
  type TextTokenizer,
} from '../../trainer/data/index.ts';
import { findRows } from '../../trainer/data/find.node.ts';
import { loadRows, type FoundData } from '../../trainer/data/load.ts';
import { folder } from './dataFiles.ts';

const limits = { contextLength: 500, vocabSize: 2 ** 21 };
/** A token per character. */
const characters: TextTokenizer = {
  encode: (text) => Array.from(text, (character) => character.codePointAt(0) ?? 0),
  eosTokenId: 1,
  bosTokenId: 2,
  chatTemplate: undefined,
  applyChatTemplate: () => '',
};
const settings = (keys: Record<string, unknown>) => parseSettings({ method: 'dpo', ...keys });

let count = 0;
function written(objects: readonly object[]): string {
  const path = join(folder, `rows${count++}.jsonl`);
  writeFileSync(path, objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
  return path;
}
const pairs = Array.from({ length: 2300 }, (_, i) => ({
  prompt: `prompt ${i % 700}`,
  chosen: 'c'.repeat((i % 30) + 1),
  rejected: i % 100 === 7 ? '' : 'r'.repeat((i % 20) + 1),
}));

describe('rows that are tokenised as they are read', () => {
  it('are those of a list in memory, for every method', async () => {
    const path = written(pairs);
    const found = await findRows(path);
    const inMemory = rowsFromObjects(pairs, path);
    const options = { maxLength: 500, truncation: 'keep_start' as const };
    for (const [keys, convert, klBatchSize] of [
      [{}, asPairs, undefined],
      [{ method: 'kto', per_device_train_batch_size: 3 }, asUnpaired, 3],
    ] as const) {
      const expected = tokenizeRows(convert(inMemory).rows as Row[], characters, {
        ...options,
        ...(klBatchSize === undefined ? {} : { klBatchSize }),
      });
      const loaded = await loadRows(found, characters, limits, settings(keys), 'evaluate');
      const trained = await loadRows(found, characters, limits, settings(keys), 'train');
      const ids = (rows: typeof expected.rows, withKl: boolean) =>
        rows.map((row) => {
          const kept = (c: { ids: number[]; klIds: number[] | null }) => [c.ids, withKl ? c.klIds : null];
          const sides = row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];
          return [row.origin, row.promptIds, row.kind === 'unpaired' && row.label, ...sides.map(kept)];
        });
      expect(ids([...trained.rows], true)).toEqual(ids(expected.rows, true));
      expect(ids([...loaded.rows], false)).toEqual(ids(expected.rows, false));
      expect(loaded.leftOut).toHaveLength(23);
      expect(loaded.warnings[0]).toMatch(/^23 rows left out: \S+:8 \(has an empty rejected\); /);
    }
  });

  it('keep their texts only where something reads them', async () => {
    const found = await findRows(written(pairs.slice(0, 3)));
    const load = async (keys: Record<string, unknown>, purpose: 'train' | 'evaluate') => {
      const [row] = (await loadRows(found, characters, limits, settings(keys), purpose)).rows;
      return row.kind === 'pair' ? () => [row.promptText, row.chosen.text, row.rejected.text] : () => [];
    };
    expect((await load({}, 'evaluate'))()).toEqual(['prompt 0', 'c', 'r']);
    const hpo = { method: 'hpo', rewards: [{ name: 'length' }] };
    expect((await load(hpo, 'train'))()).toEqual(['prompt 0', 'c', 'r']);
    expect(await load({}, 'train')).toThrow('tokenised with keepTexts: false');
  });

  it('are tokenised before the file is read to its end', async () => {
    const bytes = new TextEncoder().encode(
      pairs
        .map((row) => `${JSON.stringify(row)}\n`)
        .join('')
        .repeat(5),
    );
    const source = memorySource('rows.jsonl', bytes);
    const happened: string[] = [];
    const watched = {
      ...source,
      read: (offset: number, length: number) => {
        happened.push('read');
        return source.read(offset, length);
      },
    };
    const data: FoundData = {
      parts: [{ file: { name: 'rows.jsonl', open: async () => watched }, weight: null }],
    };
    const encode = (text: string) => {
      if (happened.at(-1) !== 'tokenise') happened.push('tokenise');
      return characters.encode(text);
    };
    const percents: number[] = [];
    await loadRows(data, { ...characters, encode }, limits, settings({}), 'train', {
      onProgress: (done) => percents.push(done),
    });
    expect(happened.join(' ')).toMatch(/^(read )+tokenise( read tokenise){2,}$/);
    expect(percents.length).toBeGreaterThan(2);
    expect(percents).toEqual([...new Set(percents)].toSorted((a, b) => a - b));
  });

  it('can be given up', async () => {
    const found = await findRows(written(pairs));
    const controller = new AbortController();
    const encode = (text: string) => {
      controller.abort();
      return characters.encode(text);
    };
    const { signal } = controller;
    await expect(
      loadRows(found, { ...characters, encode }, limits, settings({}), 'train', { signal }),
    ).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });

  it('of several files are one after the other, or mixed', async () => {
    const [a, b] = [written(pairs.slice(0, 4)), written([...pairs.slice(4, 6), pairs[0]])];
    const load = async (data: Parameters<typeof findRows>[0]) =>
      loadRows(await findRows(data), characters, limits, settings({}), 'train');
    const places = ({ rows }: Awaited<ReturnType<typeof load>>) =>
      rows.map(({ origin }) => `${origin.file === a ? 'a' : 'b'}${origin.line}`);
    const plain = await load([
      { path: a, weight: null },
      { path: b, weight: null },
    ]);
    expect(places(plain)).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3']);
    expect(plain.warnings).toEqual([`1 row used, but look at them: ${b}:3 (repeats ${a}:1)`]);
    const mixed = await load([
      { path: a, weight: 2 },
      { path: b, weight: 3 },
    ]);
    expect(mixed.rows).toHaveLength(10);
    expect(new Set(mixed.rows).size).toBe(7);
    expect(places(mixed).filter((place) => place.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4']);
  });
});

describe('tools', () => {
  const golden = JSON.parse(
    readFileSync(join(import.meta.dirname, '../fixtures/chatTemplate/tools.json'), 'utf8'),
  ) as { template: string; tools: object[]; prompt: ChatMessage[]; completion: ChatMessage[] } & Record<
    'promptText' | 'whole',
    string
  >;
  const template = new ChatTemplate(golden.template);
  const tokenizer: TextTokenizer = {
    ...characters,
    chatTemplate: golden.template,
    applyChatTemplate: (messages, options) => template.render(messages, options),
  };

  it.each([
    ['as a list', golden.tools],
    ['as a JSON text', JSON.stringify(golden.tools)],
  ])('%s stand where Python’s Jinja puts them', (_, tools) => {
    const { prompt, completion } = golden;
    const { rows } = rowsFromObjects([
      { prompt, completion, tools, chat_template_kwargs: { enable_thinking: false } },
      { prompt, chosen: completion, rejected: completion, tools },
    ]);
    const [single, pair] = tokenizeRows(rows, tokenizer, { maxLength: null }).rows;
    expect(single.promptText).toBe(golden.promptText);
    const text = (ids: readonly number[]) => String.fromCodePoint(...ids);
    const ids = single.kind === 'completion' ? single.completion.ids : [];
    expect(text([...single.promptIds, ...ids])).toBe(golden.whole);
    expect(pair.promptText).toBe(golden.promptText.replace('<think>\n\n</think>\n\n', ''));
  });
});
