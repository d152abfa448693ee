/**
 * Scores that outlive a run. `reward` is the SHA-256 of the reward's identity, `text` that of a prompt and
 * a completion.
 */
export interface RewardCache {
  get(reward: string, text: string): number | undefined | Promise<number | undefined>;
  set(reward: string, text: string, score: number): void | Promise<void>;
  /** Keeps what was set, where `set` alone does not yet. */
  flush?(): Promise<void>;
}

/** A cache that lives as long as the program. */
export function memoryCache(): RewardCache {
  const scores = new Map<string, number>();
  return {
    get: (reward, text) => scores.get(`${reward}/${text}`),
    set: (reward, text, score) => {
      scores.set(`${reward}/${text}`, score);
    },
  };
}
