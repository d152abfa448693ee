import { PrefgradError } from '../../engine/errors.ts';

/** SHA-256 in hexadecimal, of bytes or of a text's UTF-8. */
export async function sha256(content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle;
  if (subtle === undefined) {
    throw new PrefgradError(
      'SHA-256 needs crypto.subtle, which browsers give to pages over HTTPS or on localhost alone',
    );
  }
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A key for caches that is the same for equal JSON values, whatever the order of their keys. */
export async function contentHash(value: unknown): Promise<string> {
  const encoder = new TextEncoder();
  const parts = Array.from(canonical(value), (text) => encoder.encode(text));
  const bytes = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return sha256(bytes);
}

/** Entries of a list that become text together; those of a large data set would be longer than a string can be. */
const TOGETHER = 4096;

/** JSON with sorted keys, in pieces; undefined members are left out, as JSON does. */
function* canonical(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    yield '[';
    for (let at = 0; at < value.length; at += TOGETHER)
      yield (at === 0 ? '' : ',') + JSON.stringify(value.slice(at, at + TOGETHER), sortKeys).slice(1, -1);
    yield ']';
  } else if (typeof value === 'object' && value !== null) {
    let before = '{';
    for (const [key, member] of Object.entries(value).sort(byKey)) {
      if (member === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* canonical(member);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  } else yield JSON.stringify(value) ?? 'undefined';
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

const sortKeys = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(byKey))
    : value;
