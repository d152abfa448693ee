import { PrefgradError } from '../../engine/errors.ts';
import { JsonArray } from './jsonArray.ts';
import { LONGEST_ROW, type Entry, type Stage } from './stage.ts';

/** A JSON value, or what the parser says is wrong. */
export function parseJson(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The values of a JSON text that comes in pieces: an array's elements, or one value per line. */
export class JsonText implements Stage<string, Entry> {
  #inner: Stage<string, Entry> | undefined;
  #blank = '';

  constructor(private readonly file: string) {}

  push(text: string): readonly Entry[] {
    if (this.#inner !== undefined) return this.#inner.push(text);
    this.#blank += text;
    const [first] = this.#blank.trimStart();
    if (first === undefined) return [];
    this.#inner = first === '[' ? new JsonArray(this.file) : new JsonLines(this.file);
    return this.#inner.push(this.#blank);
  }

  end(): readonly Entry[] {
    return this.#inner?.end() ?? [];
  }
}

class JsonLines implements Stage<string, Entry> {
  #rest = '';
  #line = 1;

  constructor(private readonly file: string) {}

  push(text: string): readonly Entry[] {
    const lines = text.split('\n');
    const rest = lines.pop() ?? '';
    if (lines.length === 0) {
      this.#rest += rest;
      if (this.#rest.length > LONGEST_ROW) {
        throw new PrefgradError(
          `${this.file}:${this.#line}: has more than ${LONGEST_ROW} characters without a line break; every line must hold one JSON object`,
        );
      }
      return [];
    }
    lines[0] = this.#rest + (lines[0] ?? '');
    this.#rest = rest;
    return lines.flatMap((line) => this.#read(line));
  }

  end(): readonly Entry[] {
    return this.#read(this.#rest);
  }

  #read(text: string): Entry[] {
    const line = this.#line++;
    if (text.trim() === '') return [];
    const parsed = parseJson(text);
    if ('problem' in parsed) {
      throw new PrefgradError(
        `${this.file}:${line}: is not valid JSON: ${parsed.problem}; every line must hold one JSON object`,
      );
    }
    return [{ value: parsed.value, line }];
  }
}
