import { PrefgradError } from '../../engine/errors.ts';
import { readText, type FileSource } from './source.ts';

/** A JSON object whose values are not known yet. */
export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses text that must be one JSON object; `what` is what an error calls it. */
export function parseJsonObject(what: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new PrefgradError(`${what}: is not valid JSON (${detail}); is the file whole?`);
  }
  if (!isJsonObject(value)) {
    throw new PrefgradError(`${what}: expected a JSON object, found ${kindOf(value)}`);
  }
  return value;
}

/** Reads a file that must hold one JSON object. */
export async function readJsonObject(source: FileSource): Promise<JsonObject> {
  return parseJsonObject(source.name, await readText(source));
}

/** The first key that one object of this (valid) JSON text has twice; undefined where there is none. */
export function findDuplicateKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // one entry per open object (its keys) or array (undefined)
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (keys !== undefined && isFollowedByColon(text, i + 1)) {
        const key = String(JSON.parse(text.slice(start, i + 1)));
        if (keys.has(key)) return key;
        keys.add(key);
      }
    }
  }
  return undefined;
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++;
  return text[i] === ':';
}

/** "an array", "a number", …: how errors name what came instead. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
