import type { z } from 'zod';
import { isObject } from './keys.ts';
import { toSnake } from './spelling.ts';

interface Shape {
  readonly [key: string]: z.ZodType;
}

/**
 * One sentence per key that does not fit: `hpo.tau: got 2, expected a number between 0 and 1`.
 * `shape` gives each key's description; keys under `sections` are looked up there.
 */
export function sentences(
  error: z.ZodError,
  input: unknown,
  shape: Shape,
  sections: Readonly<Record<string, Shape>> = {},
  prefix = '',
): string[] {
  const found = new Map<string, string>();
  for (const { path } of error.issues) {
    const [key, inner, field] = path.map(String);
    let [written, value, schema] = [toSnake(key ?? ''), get(input, key), shape[key ?? '']];
    const section = sections[key ?? ''];
    if (section !== undefined && inner !== undefined) {
      const listed = Array.isArray(value);
      const member = listed ? field : inner;
      value = get(value, inner);
      if (listed) written += `[${inner}]`;
      if (member !== undefined) {
        written += `.${toSnake(member)}`;
        schema = section[member];
        if (listed) value = get(value, member);
      }
    }
    const expected = schema?.description ?? 'another value';
    const got = value === undefined ? 'is missing' : `got ${show(value)}`;
    found.set(written, `${prefix}${written}: ${got}, expected ${expected}`);
  }
  return [...found.values()];
}

function get(value: unknown, key: string | undefined): unknown {
  if (key === undefined) return undefined;
  if (Array.isArray(value)) return value[Number(key)];
  return isObject(value) ? value[key] : undefined;
}

/** A value as it stands in YAML, at most 60 characters. */
export function show(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
