import { Writable } from 'node:stream';

const escape = '\x1b';
/** Control sequences, and all else character by character. */
const pieces = new RegExp(`${escape}\\[\\??[\\d;]*[A-Za-z]|${escape}[78]|[\\s\\S]`, 'g');

/** A stream that keeps what is written to it; as a TTY it also plays the terminal, so that tests see what a user sees. */
export class Screen extends Writable {
  isTTY: boolean;
  columns: number;
  raw = '';
  lines: string[] = [''];
  cursorHidden = false;
  #row = 0;
  #column = 0;
  #saved = { row: 0, column: 0 };

  constructor(options: { tty?: boolean; columns?: number } = {}) {
    super({ decodeStrings: false });
    this.isTTY = options.tty ?? false;
    this.columns = options.columns ?? 100;
  }

  hasColors(): boolean {
    return false;
  }

  override _write(chunk: string | Buffer, _: BufferEncoding, done: () => void): void {
    const text = chunk.toString();
    this.raw += text;
    for (const [part] of text.matchAll(pieces)) this.#put(part);
    done();
  }

  /** What is on the screen, without empty lines at its end. */
  get text(): string {
    return this.lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd();
  }

  #put(part: string): void {
    const [row, column] = [this.#row, this.#column];
    if (part === '\n') this.#move(row + 1, 0);
    else if (part === '\r') this.#column = 0;
    else if (part === '\x1b7') this.#saved = { row, column };
    else if (part === '\x1b8') this.#move(this.#saved.row, this.#saved.column);
    else if (part === '\x1b[?25l') this.cursorHidden = true;
    else if (part === '\x1b[?25h') this.cursorHidden = false;
    else if (part.endsWith('G') && part.startsWith(`${escape}[`))
      this.#column = Number(part.slice(2, -1) || 1) - 1;
    else if (part === '\x1b[0K' || part === '\x1b[K') this.lines[row] = this.lines[row].slice(0, column);
    else if (part === '\x1b[2K') this.lines[row] = '';
    else if (part.startsWith('\x1b')) throw new Error(`the screen does not know ${JSON.stringify(part)}`);
    else {
      if (column >= this.columns) this.#move(row + 1, 0); // a terminal wraps
      const line = this.lines[this.#row].padEnd(this.#column);
      this.lines[this.#row] = line.slice(0, this.#column) + part + line.slice(this.#column + 1);
      this.#column++;
    }
  }

  #move(row: number, column: number): void {
    while (this.lines.length <= row) this.lines.push('');
    [this.#row, this.#column] = [row, column];
  }
}
