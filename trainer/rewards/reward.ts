/** A goal that no preference pair states: a number for a prompt and a completion (hpo.md, Eq. 3). */
export type ScoreFunction = (prompt: string, completion: string) => number | Promise<number>;

export interface Reward {
  /** Its name in metrics: `auxiliary/<name>/chosen`. */
  readonly name: string;
  /** w_k in R = Σ_k w_k r_k. */
  readonly weight: number;
  /** `standardize`: mean 0 and variance 1 over the training set's completions, before the weight. */
  readonly normalize: 'none' | 'standardize';
  readonly score: ScoreFunction;
  /** A text that changes when what is computed changes; rewards without one are never cached on disk. */
  readonly identity?: string;
}

/** An entry of `rewards` in a configuration, checked and with its defaults. */
export interface RewardConfig {
  name: string;
  /** A JavaScript module whose default export is the function; null for a built-in reward. */
  module: string | null;
  weight: number;
  normalize: 'none' | 'standardize';
  /** The built-in reward's own options. */
  options: Record<string, unknown>;
}
