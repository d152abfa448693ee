export interface Limits {
  /** Prompt and completion together, in tokens; null for no limit. */
  readonly maxLength: number | null;
  readonly truncation: 'keep_start' | 'keep_completion';
  /** Stands before the prompt, or undefined; counts to the length and is never cut. */
  readonly bos: number | undefined;
}

/**
 * The prompt as it fits: `keep_start` leaves it whole, `keep_completion` cuts its left so that the longest
 * of its completions fits, down to one token or BOS. Undefined where no completion token would be left.
 */
export function cutPrompt(
  promptIds: readonly number[],
  longestCompletion: number,
  { maxLength, truncation, bos }: Limits,
): number[] | undefined {
  const start = bos === undefined ? [] : [bos];
  const body = promptIds[0] === bos ? promptIds.slice(1) : promptIds;
  const room = (maxLength ?? Infinity) - start.length;
  if (truncation === 'keep_start') return body.length < room ? [...start, ...body] : undefined;
  const least = start.length === 0 ? 1 : 0;
  const kept = Math.min(body.length, Math.max(room - longestCompletion, least));
  return [...start, ...body.slice(body.length - kept)];
}

/** The first tokens of a completion that fit behind a prompt. */
export function cutCompletion(ids: readonly number[], promptLength: number, { maxLength }: Limits): number[] {
  return ids.slice(0, (maxLength ?? Infinity) - promptLength);
}
