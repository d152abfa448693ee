import { describe, expect, it } from 'vitest';
import { csvRecords } from '../../trainer/data/csv.ts';
import { Random } from '../../trainer/data/index.ts';
import { JsonText } from '../../trainer/data/json.ts';
import { runStage } from '../../trainer/data/stage.ts';

const pieces = (text: string, size: number) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];

describe('what comes in pieces is what it is as a whole', () => {
  const json = `\n [ {"prompt": "a\\\\\\"}],[", "completion": "c"} ,\n\n{"prompt":\n"b 🙂", "completion": ["d", {"e": [[]]}]},4\n, null,"x]" , [1,\n2]] \n`;
  const lines = '{"a": "x\\n"}\r\n\n  {"b": [1, {"c": 2}]}\n3\n"last"';
  const csv = 'prompt,chosen,rejected\n"a, ""b""\nc",🙂,\n\nd,"e\n\nf",5" disk\n';

  it('a JSON array', () => {
    const whole = runStage([json], new JsonText('a'));
    expect(whole.map(({ value }) => value)).toEqual(JSON.parse(json));
    expect(whole.map(({ line }) => line)).toEqual([2, 4, 5, 6, 6, 6]);
    for (let size = 1; size < 9; size++)
      expect(runStage(pieces(json, size), new JsonText('a'))).toEqual(whole);
  });

  it('JSON lines', () => {
    const whole = runStage([lines], new JsonText('a'));
    expect(whole).toEqual([
      { value: { a: 'x\n' }, line: 1 },
      { value: { b: [1, { c: 2 }] }, line: 3 },
      { value: 3, line: 4 },
      { value: 'last', line: 5 },
    ]);
    for (let size = 1; size < 9; size++)
      expect(runStage(pieces(lines, size), new JsonText('a'))).toEqual(whole);
  });

  it.each([csv, csv.replaceAll('\n', '\r\n'), csv.trimEnd()])('CSV %j', async (text) => {
    const all = async (parts: string[]) => runStage(parts, await csvRecords('a', ','));
    const whole = await all([text]);
    const lineEnd = text.includes('\r') ? '\r\n' : '\n';
    expect(whole).toEqual([
      { value: { prompt: `a, "b"${lineEnd}c`, chosen: '🙂', rejected: '' }, line: 2 },
      { value: { prompt: 'd', chosen: `e${lineEnd}${lineEnd}f`, rejected: '5" disk' }, line: 5 },
    ]);
    for (let size = 1; size < 9; size++) expect(await all(pieces(text, size))).toEqual(whole);
  });

  it('random JSON arrays, whole and broken: an error exactly where JSON.parse has one', () => {
    const random = new Random(7);
    const alphabet = [...Array.from('[]{}",: \\n1ae\n'), '"a":', 'true', '{"b":[2]}', ', '];
    const outcome = (make: () => unknown): unknown => {
      try {
        return make();
      } catch {
        return 'broken';
      }
    };
    let whole = 0;
    for (let i = 0; i < 10_000; i++) {
      const parts = Array.from(
        { length: 1 + random.below(8) },
        () => alphabet[random.below(alphabet.length)],
      );
      const text = `[${parts.join('')}${random.below(4) > 0 ? ']' : ''}`;
      const expected = outcome(() => JSON.parse(text) as unknown);
      const got = outcome(() => runStage(pieces(text, 3), new JsonText('a')).map(({ value }) => value));
      expect([text, got]).toEqual([text, expected]);
      if (expected !== 'broken') whole++;
    }
    expect(whole).toBeGreaterThan(300);
  });
});
