import type { Content, Message } from './rows.ts';

/**
 * Where the prompt ends that chosen and rejected share, in UTF-16 units or messages, as TRL's
 * `extract_prompt` finds it: the longest common start, less a space at its end; where one is the other's
 * start, its last character or message belongs to the completions.
 */
export function implicitPromptLength(chosen: Content, rejected: Content): number {
  if (typeof chosen === 'string') return typeof rejected === 'string' ? commonText(chosen, rejected) : 0;
  return typeof rejected === 'string' ? 0 : commonMessages(chosen, rejected);
}

function commonText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let length = 0;
  while (length < shorter && a[length] === b[length]) length++;
  if (length === shorter) return characterStart(a, Math.max(length - 1, 0));
  length = characterStart(a, length);
  return length > 0 && a[length - 1] === ' ' ? length - 1 : length;
}

/** Steps back from between the two halves of a surrogate pair. */
function characterStart(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  const before = text.charCodeAt(index - 1);
  const splits = unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff;
  return splits ? index - 1 : index;
}

export function commonMessages(a: readonly Message[], b: readonly Message[]): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    if (JSON.stringify(a[i]) !== JSON.stringify(b[i])) return i;
  }
  return Math.max(shorter - 1, 0);
}
