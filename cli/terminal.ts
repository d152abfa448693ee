/** An output stream as the command line needs it; process.stdout and process.stderr are such. */
export interface Output {
  write(text: string): boolean;
  isTTY?: boolean;
  columns?: number;
  hasColors?(): boolean;
}

/** Where a command writes: results to stdout, everything that is not a result to stderr. */
export interface Terminal {
  stdout: Output;
  stderr: Output & NodeJS.WritableStream;
  /** Whether stderr can redraw a line. */
  live: boolean;
}

export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  return { stdout, stderr, live: stderr.isTTY && env['TERM'] !== 'dumb' };
}

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  warning(text: string): string;
  error(text: string): string;
}

/** Colours where the stream shows them; Node's `hasColors` knows NO_COLOR, FORCE_COLOR and TERM. */
export function paintFor(output: Output): Paint {
  const on = output.isTTY === true && output.hasColors?.() === true;
  const style = (open: number, close: number) => (text: string) =>
    on ? `\x1b[${open}m${text}\x1b[${close}m` : text;
  return { bold: style(1, 22), dim: style(2, 22), warning: style(33, 39), error: style(31, 39) };
}
