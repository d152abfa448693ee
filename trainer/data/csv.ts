import type Papa from 'papaparse';
import { PrefgradError } from '../../engine/errors.ts';
import { holdsRows, rowKeys } from './detect.ts';
import { LONGEST_ROW, type Entry, type Stage } from './stage.ts';

/** One record as it was parsed; `end` is where the next one begins in the text. */
interface Record {
  readonly fields: readonly string[];
  readonly problem: string | undefined;
  readonly end: number;
}

/** The records of a CSV text that comes in pieces, as objects by the names in its first record. */
export async function csvRecords(file: string, delimiter: ',' | '\t'): Promise<Stage<string, Entry>> {
  const { default: papa } = await import('papaparse');
  return new CsvRecords(papa, file, delimiter);
}

class CsvRecords implements Stage<string, Entry> {
  #text = '';
  #line = 1;
  #newline: '\n' | '\r\n' | undefined;
  #columns: readonly string[] | undefined;

  constructor(
    private readonly papa: typeof Papa,
    private readonly file: string,
    private readonly delimiter: ',' | '\t',
  ) {}

  push(text: string): readonly Entry[] {
    this.#text += text;
    // A file's first line break says what its others are.
    const first = this.#text.indexOf('\n');
    if (first < 0 && this.#text.length <= LONGEST_ROW) return [];
    this.#newline ??= this.#text[first - 1] === '\r' ? '\r\n' : '\n';
    // The last record may go on in the next piece.
    const entries = this.#take(this.#parse(this.#newline).slice(0, -1));
    if (this.#text.length > LONGEST_ROW)
      throw this.#invalid(`a record does not end within ${LONGEST_ROW} characters; is a quote missing?`);
    return entries;
  }

  end(): readonly Entry[] {
    return this.#text === '' ? [] : this.#take(this.#parse(this.#newline ?? '\n'));
  }

  #parse(newline: '\n' | '\r\n'): Record[] {
    const records: Record[] = [];
    this.papa.parse<string[]>(this.#text, {
      delimiter: this.delimiter,
      newline,
      step: ({ data, errors, meta }) =>
        void records.push({ fields: data, problem: errors[0]?.message, end: meta.cursor }),
    });
    return records;
  }

  #take(records: readonly Record[]): Entry[] {
    const entries: Entry[] = [];
    let start = 0;
    for (const { fields, problem, end } of records) {
      if (problem !== undefined)
        throw this.#invalid(`${problem.toLowerCase()}; double the quotes inside a quoted field`);
      const blank = fields.length === 1 && fields[0]?.trim() === '';
      if (!blank && this.#columns === undefined) this.#columns = this.#header(fields);
      else if (!blank) entries.push({ value: this.#object(fields, this.#columns ?? []), line: this.#line });
      for (let i = this.#text.indexOf('\n', start); i >= 0 && i < end; i = this.#text.indexOf('\n', i + 1))
        this.#line++;
      start = end;
    }
    this.#text = this.#text.slice(start);
    return entries;
  }

  #header(fields: readonly string[]): string[] {
    const columns = fields.map((name) => name.trim());
    const twice = columns.find((name, i) => name !== '' && columns.indexOf(name) < i);
    if (twice !== undefined) throw this.#invalid(`the column ${twice} is there twice`);
    if (!holdsRows(columns)) {
      const separator = this.delimiter === ',' ? 'commas' : 'tabs';
      throw this.#invalid(
        `the first line names the columns ${columns.join(', ')}; expected ${rowKeys}, separated by ${separator}`,
      );
    }
    return columns;
  }

  #object(fields: readonly string[], columns: readonly string[]): unknown {
    if (fields.length !== columns.length) {
      throw this.#invalid(
        `has ${fields.length} ${fields.length === 1 ? 'field' : 'fields'}, but the first line names ${columns.length} columns; is a comma or a quote missing?`,
      );
    }
    return Object.fromEntries(columns.map((name, i) => [name, cell(name, fields[i] ?? '')]));
  }

  #invalid(problem: string): PrefgradError {
    return new PrefgradError(`${this.file}:${this.#line}: is not valid CSV: ${problem}`);
  }
}

/** CSV has texts alone: labels are spelled out. */
function cell(column: string, text: string): unknown {
  if (column !== 'label' && column !== 'kto_tag') return text;
  if (text === '') return null;
  return /^(true|1|1\.0)$/i.test(text) ? true : /^(false|0|0\.0)$/i.test(text) ? false : text;
}
