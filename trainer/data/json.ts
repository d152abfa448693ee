/** A JSON value, or what the parser says is wrong. */
export function parseJson(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

interface Element {
  readonly source: string;
  /** Counted from 1. */
  readonly line: number;
}

/** The elements of a JSON array as they stand in its text; tolerates malformed ones. */
export function lineOfElements(text: string): Element[] {
  const elements: Element[] = [];
  let depth = 0;
  let inString = false;
  let line = 1;
  let start = -1;
  let startLine = 1;
  const close = (end: number) => {
    if (start >= 0) elements.push({ source: text.slice(start, end), line: startLine });
    start = -1;
  };
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '\n') line++;
    if (inString) {
      if (character === '\\') i++;
      else if (character === '"') inString = false;
      continue;
    }
    if (character === ']' || character === '}') {
      depth--;
      if (depth === 0) close(i);
    } else if (character === ',' && depth === 1) {
      close(i);
    } else {
      if (depth === 1 && start < 0 && !/\s/.test(character)) [start, startLine] = [i, line];
      if (character === '"') inString = true;
      if (character === '[' || character === '{') depth++;
    }
  }
  close(text.length);
  return elements;
}
