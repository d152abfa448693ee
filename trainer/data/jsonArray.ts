import { PrefgradError } from '../../engine/errors.ts';
import { LONGEST_ROW, type Entry, type Stage } from './stage.ts';

const [tab, newline, carriage, space] = [9, 10, 13, 32];
const [quote, comma, backslash] = [34, 44, 92];
const [openBracket, closeBracket, openBrace, closeBrace] = [91, 93, 123, 125];

/** Where in the array the text stands, outside its elements. */
type Place = 'before' | 'first' | 'element' | 'next' | 'after';

/** The elements of one JSON array that comes in pieces, each parsed as soon as it is whole. */
export class JsonArray implements Stage<string, Entry> {
  #place: Place = 'before';
  /** Brackets open around the present character, the array's own not among them. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  #line = 1;
  /** The present element's text from earlier pieces, and the line it began on. */
  #begun = '';
  #begunLine = 1;

  constructor(private readonly file: string) {}

  push(text: string): readonly Entry[] {
    const entries: Entry[] = [];
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === newline) this.#line++;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (code === backslash) this.#escaped = true;
        else if (code === quote) this.#inString = false;
        continue;
      }
      if (this.#place === 'element') {
        if (this.#depth > 0 || (code !== comma && code !== closeBracket)) {
          this.#inside(code);
          continue;
        }
        entries.push(this.#close(text.slice(start, i)));
        this.#place = code === comma ? 'next' : 'after';
        continue;
      }
      if (code === space || code === newline || code === carriage || code === tab) continue;
      if (this.#begins(code)) {
        start = i;
        this.#begunLine = this.#line;
        this.#inside(code);
      }
    }
    if (this.#place === 'element') {
      this.#begun += text.slice(start);
      if (this.#begun.length > LONGEST_ROW) {
        throw this.#invalid(
          this.#begunLine,
          `a value does not end within ${LONGEST_ROW} characters; is a bracket or a quote missing?`,
        );
      }
    }
    return entries;
  }

  end(): readonly Entry[] {
    if (this.#place === 'element' && !isJson(this.#begun))
      throw this.#invalid(this.#begunLine, 'the file ends inside a value; is it whole?');
    if (this.#place !== 'after')
      throw this.#invalid(this.#line, 'the file ends before its closing bracket; is it whole?');
    return [];
  }

  /** Between elements: whether this character begins one. */
  #begins(code: number): boolean {
    const character = String.fromCharCode(code);
    switch (this.#place) {
      case 'before':
        this.#place = 'first';
        return false;
      case 'first':
      case 'next':
        if (code === closeBracket && this.#place === 'first') {
          this.#place = 'after';
          return false;
        }
        if (code === comma || code === closeBracket)
          throw this.#invalid(this.#line, `a value is missing before ${character}`);
        this.#place = 'element';
        return true;
      default:
        throw this.#invalid(this.#line, `${character} stands after the array's end`);
    }
  }

  #inside(code: number): void {
    if (code === quote) this.#inString = true;
    else if (code === openBracket || code === openBrace) this.#depth++;
    else if (code === closeBracket || code === closeBrace) this.#depth--;
  }

  #close(last: string): Entry {
    const text = this.#begun + last;
    this.#begun = '';
    try {
      return { value: JSON.parse(text) as unknown, line: this.#begunLine };
    } catch (error) {
      throw this.#invalid(this.#begunLine, error instanceof Error ? error.message : String(error));
    }
  }

  #invalid(line: number, problem: string): PrefgradError {
    return new PrefgradError(`${this.file}:${line}: is not valid JSON: ${problem}`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
