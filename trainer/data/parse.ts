import { PrefgradError } from '../../engine/errors.ts';
import { detectRow } from './detect.ts';
import { lineOfElements, parseJson } from './json.ts';
import { Unusable } from './messages.ts';
import { describeNotes, type Row, type RowNote, type Rows } from './rows.ts';

/** A value of a data file and the line it begins on. */
interface Entry {
  readonly value: unknown;
  readonly line: number;
}

/**
 * The rows of a JSONL text, or of a JSON array of objects. Rows that can not be used are listed in
 * `leftOut`. Throws a PrefgradError with file and line for malformed JSON, and for a text without a
 * usable row.
 */
export function parseRows(text: string, file: string): Rows {
  return collectRows(entries(text.replace(/^\uFEFF/, ''), file), file);
}

/** Rows that a program holds already; `line` in their origins counts them from 1. */
export function rowsFromObjects(objects: readonly unknown[], name = 'rows'): Rows {
  return collectRows(
    objects.map((value, index) => ({ value, line: index + 1 })),
    name,
  );
}

function collectRows(found: Iterable<Entry>, file: string): Rows {
  const rows: Row[] = [];
  const leftOut: RowNote[] = [];
  const remarks: RowNote[] = [];
  for (const { value, line } of found) {
    const origin = { file, line };
    try {
      const row = detectRow(value, origin);
      rows.push(row);
      if (row.kind === 'pair' && JSON.stringify(row.chosen) === JSON.stringify(row.rejected)) {
        remarks.push({ origin, reason: 'has equal chosen and rejected, which teach no preference' });
      }
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      leftOut.push({ origin, reason: error.message });
    }
  }
  if (rows.length === 0) {
    const why = leftOut.length === 0 ? 'it holds no rows' : describeNotes('left out', leftOut, 3);
    throw new PrefgradError(`${file}: has no row that can be used: ${why}`);
  }
  return { rows, leftOut, remarks };
}

function entries(text: string, file: string): Entry[] {
  return /^\s*\[/.test(text) ? arrayEntries(text, file) : lineEntries(text, file);
}

function lineEntries(text: string, file: string): Entry[] {
  const found: Entry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const parsed = parseJson(line);
    if ('problem' in parsed) {
      throw new PrefgradError(
        `${file}:${index + 1}: is not valid JSON: ${parsed.problem}; every line must hold one JSON object`,
      );
    }
    found.push({ value: parsed.value, line: index + 1 });
  }
  return found;
}

function arrayEntries(text: string, file: string): Entry[] {
  const parsed = parseJson(text);
  const elements = lineOfElements(text);
  if ('problem' in parsed) {
    const broken = elements.find(({ source }) => 'problem' in parseJson(source)) ?? elements.at(-1);
    throw new PrefgradError(`${file}:${broken?.line ?? 1}: is not valid JSON: ${parsed.problem}`);
  }
  const values: unknown[] = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  return values.map((value, index) => ({ value, line: elements[index]?.line ?? 1 }));
}
