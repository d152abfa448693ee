import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import type { JsonObject } from '../../models/files/json.ts';
import { Tokenizer } from '../../models/tokenizer.ts';
import {
  asCompletions,
  asPairs,
  asUnpaired,
  rowsFromObjects,
  tokenizeRows,
  type Message,
  type TextTokenizer,
} from '../../trainer/data/index.ts';
import { requireKl } from '../../trainer/data/kl.ts';
import { klPartners } from '../../trainer/data/kl.ts';
import { readRows } from '../../trainer/data/read.node.ts';
import { needsShared, shared } from '../shared.ts';

const [EOS, BOS] = [1, 2];

/** A token per character (its code), but `th` is one; `</s>` and `<s>` are EOS and BOS. */
function letters(over: Partial<TextTokenizer> = {}): TextTokenizer {
  return {
    encode: (text) =>
      [...text.matchAll(/<\/s>|<s>|th|[^]/gu)].map(([token]) =>
        token === '</s>' ? EOS : token === '<s>' ? BOS : token === 'th' ? 999 : (token.codePointAt(0) ?? 0),
      ),
    eosTokenId: EOS,
    bosTokenId: BOS,
    chatTemplate: 'yes',
    applyChatTemplate: (messages: readonly Message[], { addGenerationPrompt }) =>
      messages.map(({ role, content }) => `${role[0]}:${content}\n`).join('') +
      (addGenerationPrompt ? 'a:' : ''),
    ...over,
  };
}
const codes = (text: string) => Array.from(text, (character) => character.charCodeAt(0));

const pairs = (...objects: object[]) => asPairs(rowsFromObjects(objects)).rows;
const one = (
  options: { maxLength: number | null; truncation?: 'keep_start' | 'keep_completion'; addBos?: boolean },
  pair = { prompt: 'abcd', chosen: 'xyz', rejected: 'u' },
) => {
  const { rows, leftOut } = tokenizeRows(pairs(pair), letters(), options);
  if (leftOut.length > 0) return leftOut[0].reason;
  return [rows[0].promptIds, rows[0].chosen.ids, rows[0].rejected.ids];
};

describe('plain text', () => {
  it('ends with one EOS', () => {
    expect(one({ maxLength: null })).toEqual([codes('abcd'), [...codes('xyz'), EOS], [...codes('u'), EOS]]);
    expect(one({ maxLength: null }, { prompt: 'a', chosen: 'x</s>', rejected: 'u' })).toEqual([
      codes('a'),
      [...codes('x'), EOS],
      [...codes('u'), EOS],
    ]);
    expect(() =>
      tokenizeRows(pairs({ prompt: 'a', chosen: 'b', rejected: 'c' }), letters({ eosTokenId: undefined }), {
        maxLength: 9,
      }),
    ).toThrow('rows:1: a completion in plain text ends with');
  });

  it('keeps what rewards read', () => {
    const [row] = tokenizeRows(pairs({ prompt: 'abcd', chosen: 'xyz', rejected: 'u' }), letters(), {
      maxLength: 6,
    }).rows;
    expect([row.promptText, row.chosen.text, row.rejected.text]).toEqual(['abcd', 'xyz', 'u']);
  });

  it('gives tokens that merge across the boundary to the completion, as TRL does', () => {
    const { rows, remarks } = tokenizeRows(pairs({ prompt: 'at', chosen: 'he', rejected: 'oo' }), letters(), {
      maxLength: null,
    });
    expect([rows[0].promptIds, rows[0].chosen.ids, rows[0].rejected.ids]).toEqual([
      codes('a'),
      [999, ...codes('e'), EOS],
      [...codes('too'), EOS],
    ]);
    expect(remarks[0].reason).toContain('last tokens change');
  });
});

describe('length', () => {
  it('keep_start cuts completions', () => {
    expect(one({ maxLength: 6 })).toEqual([codes('abcd'), codes('xy'), [...codes('u'), EOS]]);
    expect(one({ maxLength: 5 })).toEqual([codes('abcd'), codes('x'), codes('u')]);
    expect(one({ maxLength: 4 })).toBe(
      'has a prompt of 4 tokens, which leaves no room for a completion within max_length 4',
    );
  });

  it('keep_completion cuts the prompt', () => {
    expect(one({ maxLength: 6, truncation: 'keep_completion' })).toEqual([
      codes('cd'),
      [...codes('xyz'), EOS],
      [...codes('u'), EOS],
    ]);
    expect(one({ maxLength: 3, truncation: 'keep_completion' })).toEqual([
      codes('d'),
      codes('xy'),
      [...codes('u'), EOS],
    ]);
  });

  it('counts BOS and never cuts it', () => {
    expect(one({ maxLength: 6, addBos: true })).toEqual([[BOS, ...codes('abcd')], codes('x'), codes('u')]);
    expect(one({ maxLength: 5, addBos: true })).toContain('leaves no room');
    expect(one({ maxLength: 6, addBos: true, truncation: 'keep_completion' })).toEqual([
      [BOS, ...codes('d')],
      [...codes('xyz'), EOS],
      [...codes('u'), EOS],
    ]);
    expect(one({ maxLength: 2, addBos: true, truncation: 'keep_completion' })).toEqual([
      [BOS],
      codes('x'),
      codes('u'),
    ]);
    expect(
      one(
        { maxLength: 6, addBos: true, truncation: 'keep_completion' },
        { prompt: '<s>abcd', chosen: 'xyz', rejected: 'u' },
      ),
    ).toEqual([
      [BOS, ...codes('d')],
      [...codes('xyz'), EOS],
      [...codes('u'), EOS],
    ]);
  });

  it('needs a prompt with a token', () => {
    const empty = { prompt: '', chosen: 'x', rejected: 'y' };
    expect(one({ maxLength: 9 }, empty)).toContain('prompt without tokens');
    expect(one({ maxLength: 9, addBos: true }, empty)).toEqual([
      [BOS],
      [...codes('x'), EOS],
      [...codes('y'), EOS],
    ]);
    expect(() =>
      tokenizeRows(pairs(empty), letters({ bosTokenId: undefined }), { maxLength: 9, addBos: true }),
    ).toThrow('has no BOS token');
  });
});

describe('messages', () => {
  const row = { prompt: [{ role: 'user', content: 'hi' }], chosen: 'yes', rejected: 'no' };

  it('go through the chat template', () => {
    const [{ promptIds, promptText, chosen, rejected }] = tokenizeRows(pairs(row), letters(), {
      maxLength: 99,
    }).rows;
    expect(promptText).toBe('u:hi\na:');
    expect([promptIds, chosen.ids, rejected.ids]).toEqual([codes('u:hi\na:'), codes('yes\n'), codes('no\n')]);
    expect(chosen.text).toBe('yes');
  });

  it('need one', () => {
    expect(() => tokenizeRows(pairs(row), letters({ chatTemplate: undefined }), { maxLength: 99 })).toThrow(
      'rows:1: has messages, but',
    );
    const refusing = letters({
      applyChatTemplate: () => {
        throw new Error('roles must alternate');
      },
    });
    expect(() => tokenizeRows(pairs(row), refusing, { maxLength: 99 })).toThrow(
      'rows:1: the chat template does not take these messages: roles must alternate',
    );
  });
});

describe('KL completions', () => {
  it('come from the row before, within chunks', () => {
    expect(klPartners(['a', 'b', 'c', 'd', 'e'], 3)).toEqual([2, 0, 1, 4, 3]);
    expect(klPartners(['a', 'b', 'c', 'd'], 3)).toEqual([2, 0, 1, null]);
    expect(klPartners(['a', 'a', 'b', 'a'], 4)).toEqual([null, null, 1, 2]);
    expect(klPartners([], 3)).toEqual([]);
  });

  it('are cut behind their new prompt, from the uncut completion', () => {
    const source = asUnpaired(
      rowsFromObjects([
        { prompt: 'abcd', completion: 'xyz', label: true },
        { prompt: 'e', completion: 'u', label: false },
      ]),
    ).rows;
    const { rows } = tokenizeRows(source, letters(), { maxLength: 5, klBatchSize: 2 });
    expect(rows.map(({ completion }) => completion.ids)).toEqual([codes('x'), [...codes('u'), EOS]]);
    expect(rows.map(({ completion }) => completion.klIds)).toEqual([codes('u'), [...codes('xyz'), EOS]]);
  });

  it('of a pair are the chosen and the rejected of the pair before', () => {
    const source = pairs(
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      { prompt: 'd', chosen: 'e', rejected: 'f' },
    );
    const { rows } = tokenizeRows(source, letters(), { maxLength: null, klBatchSize: 2 });
    expect(rows.map(({ chosen, rejected }) => [chosen.klIds?.[0], rejected.klIds?.[0]])).toEqual([
      codes('ef'),
      codes('bc'),
    ]);
  });

  it('are skipped for the same prompt; a batch without any is refused', () => {
    const source = pairs(
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      { prompt: 'a', chosen: 'e', rejected: 'f' },
      { prompt: 'g', chosen: 'h', rejected: 'i' },
    );
    const { rows, remarks } = tokenizeRows(source, letters(), { maxLength: null, klBatchSize: 2 });
    expect(rows.map(({ chosen }) => chosen.klIds)).toEqual([null, null, null]);
    expect(remarks.map(({ origin }) => origin.line)).toEqual([1, 2, 3]);
    expect(() => requireKl(rows.slice(0, 2))).toThrow(PrefgradError);
    expect(() => requireKl(rows.slice(0, 2))).toThrow('the batch of rows:1, rows:2 has no KL completion');
    const mixed = tokenizeRows(source, letters(), { maxLength: null, klBatchSize: 3 }).rows;
    expect(mixed.map(({ chosen }) => chosen.klIds?.[0])).toEqual([codes('h')[0], undefined, codes('e')[0]]);
    requireKl(mixed);
  });

  it('are none without KTO', () => {
    const { rows } = tokenizeRows(pairs({ prompt: 'a', chosen: 'b', rejected: 'c' }), letters(), {
      maxLength: null,
    });
    expect(rows[0].chosen.klIds).toBeNull();
  });
});

describe.skipIf(shared('fixtures/tokenizer') === undefined)(`TRL's ids ${needsShared}`, () => {
  const json = (path: string) => JSON.parse(readFileSync(shared(path) ?? '', 'utf8')) as JsonObject;
  const tokenizer = () =>
    new Tokenizer({
      json: json('fixtures/tokenizer/tokenizer.json'),
      config: json('fixtures/tokenizer/tokenizer_config.json'),
    });
  const trl = () =>
    JSON.parse(readFileSync(shared('fixtures/trl/tokenised-pairs.json') ?? '', 'utf8')) as {
      prompt_ids: number[];
      chosen_ids: number[];
      rejected_ids: number[];
    }[];
  const fixture = async () => asPairs(await readRows(shared('fixtures/pairs.jsonl') ?? ''));

  it('of all 64 pairs', async () => {
    const { rows, leftOut } = tokenizeRows((await fixture()).rows, tokenizer(), { maxLength: null });
    expect(leftOut).toEqual([]);
    expect(
      rows.map(({ promptIds, chosen, rejected }) => ({
        prompt_ids: promptIds,
        chosen_ids: chosen.ids,
        rejected_ids: rejected.ids,
      })),
    ).toEqual(trl());
  });

  it('cut at 40 tokens, without the rows that TRL drops', async () => {
    const { rows, leftOut } = tokenizeRows((await fixture()).rows, tokenizer(), { maxLength: 40 });
    const kept = trl().filter(({ prompt_ids }) => prompt_ids.length < 40);
    expect(rows.map(({ promptIds, chosen }) => [...promptIds, ...chosen.ids])).toEqual(
      kept.map(({ prompt_ids, chosen_ids }) => [...prompt_ids, ...chosen_ids].slice(0, 40)),
    );
    expect(leftOut).toHaveLength(4);
  });

  it("with BOS, as TRL's CPO trainer has them", async () => {
    const { first_row: first } = json('fixtures/trl/cpo/meta.json') as {
      first_row: { chosen_input_ids: number[]; chosen_labels: number[] };
    };
    const [row] = tokenizeRows((await fixture()).rows, tokenizer(), { maxLength: 96, addBos: true }).rows;
    expect([...row.promptIds, ...row.chosen.ids]).toEqual(first.chosen_input_ids);
    expect(row.promptIds).toHaveLength(first.chosen_labels.filter((label) => label === -100).length);
  });

  it('of the chosen side for SFT', async () => {
    const source = asCompletions(await readRows(shared('fixtures/pairs.jsonl') ?? '')).rows;
    const { rows } = tokenizeRows(source, tokenizer(), { maxLength: 96 });
    expect(rows.map(({ completion }) => completion.ids)).toEqual(
      trl().map(({ prompt_ids, chosen_ids }) => chosen_ids.slice(0, 96 - prompt_ids.length)),
    );
  });

  it('and its token counts of the KTO run', async () => {
    const source = asUnpaired(await readRows(shared('fixtures/unpaired.jsonl') ?? '')).rows;
    const { rows } = tokenizeRows(source, tokenizer(), { maxLength: 96, klBatchSize: 4 });
    const { history } = json('fixtures/trl/kto/meta.json') as unknown as {
      history: { num_tokens: number }[];
    };
    let tokens = 0;
    history.forEach(({ num_tokens }, step) => {
      for (const row of rows.slice(4 * step, 4 * step + 4))
        tokens += row.promptIds.length + row.completion.ids.length;
      expect(tokens).toBe(num_tokens);
    });
    expect(history.length).toBe(16);
  });
});
