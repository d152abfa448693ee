/**
 * A SentencePiece BPE vocabulary as a list of merges, best first. A piece is worth its score; every way
 * to split it into two pieces is a merge. Pieces of equal score come longer left part first, as in
 * Transformers' conversion of such vocabularies.
 */
export function mergesFromScores(
  pieces: readonly string[],
  scores: readonly number[],
  mergeable: (id: number) => boolean,
): [string, string][] {
  const ids = new Map<string, number>();
  pieces.forEach((piece, id) => {
    if (mergeable(id)) ids.set(piece, id);
  });
  const merges: { left: string; right: string; score: number; leftId: number; rightId: number }[] = [];
  for (const [piece, id] of ids) {
    let left = '';
    for (const character of piece) {
      const leftId = ids.get(left);
      const rightId = leftId === undefined ? undefined : ids.get(piece.slice(left.length));
      if (leftId !== undefined && rightId !== undefined) {
        merges.push({ left, right: piece.slice(left.length), score: scores[id], leftId, rightId });
      }
      left += character;
    }
  }
  merges.sort(
    (a, b) =>
      b.score - a.score ||
      b.left.length - a.left.length ||
      b.right.length - a.right.length ||
      a.leftId - b.leftId ||
      a.rightId - b.rightId,
  );
  return merges.map(({ left, right }) => [left, right]);
}
