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

/** A key for caches that is the same for equal values, whatever the order of their keys. */
export async function contentHash(value: unknown): Promise<string> {
  return sha256(canonical(value));
}

/** JSON with sorted keys; undefined members are left out, as JSON does. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? 'undefined'
  );
}
