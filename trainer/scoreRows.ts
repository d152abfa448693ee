import type { TokenizedRow } from './data/tokenized.ts';
import { completionsOf } from './data/tokenized.ts';
import type { Score } from './score.ts';
import { Scorer } from './score.ts';
import type { Session } from './session.ts';

/** Of a pair. */
export interface PairScore {
  readonly chosen: Score;
  readonly rejected: Score;
}

/** Of a prompt with one completion. */
export interface CompletionScore {
  readonly completion: Score;
}

/** Log-probs of each row's completions under the model's present weights. */
export async function scoreRows(
  { model, device }: Pick<Session, 'model' | 'device'>,
  rows: readonly TokenizedRow[],
  onProgress?: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<(PairScore | CompletionScore)[]> {
  const scorer = new Scorer(model, device);
  const sequences = rows.map((row) => ({
    promptIds: row.promptIds,
    completions: completionsOf(row).map((c) => c.ids),
  }));
  const scores = await scorer.score(sequences, onProgress, signal).finally(() => scorer.dispose());
  const none: Score = { logp: NaN, tokens: 0 };
  return rows.map((row, i) => {
    const [first = none, second = none] = scores[i] ?? [];
    return row.kind === 'pair' ? { chosen: first, rejected: second } : { completion: first };
  });
}
