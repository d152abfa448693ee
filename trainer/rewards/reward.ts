import type { Origin } from '../data/rows.ts';

/** A goal that no preference pair states: a number for a prompt and a completion (hpo.md, Eq. 3). */
export type ScoreFunction = (prompt: string, completion: string) => number | Promise<number>;

interface Common {
  /** Its name in metrics: `auxiliary/<name>/chosen`. */
  readonly name: string;
  /** w_k in R = Σ_k w_k r_k. */
  readonly weight: number;
  /** `standardize`: mean 0 and variance 1 over the training set's completions, before the weight. */
  readonly normalize: 'none' | 'standardize';
  /** A text that changes when what is computed changes; rewards without one are never cached on disk. */
  readonly identity?: string;
}

/** A function of two texts. */
export interface FunctionReward extends Common {
  readonly score: ScoreFunction;
}

/** Scores many texts at once, such as a model behind an address. */
export interface BatchReward extends Common {
  readonly batchSize: number;
  /** Batches that may be under way at once. */
  readonly parallel: number;
  /** A score for each text, in their order; what is no finite number counts as failed. */
  scoreBatch(texts: readonly RewardTexts[], signal?: AbortSignal): Promise<readonly unknown[]>;
}

/** Numbers that the data holds already. What a model samples has none. */
export interface ColumnReward extends Common {
  readonly column: string;
}

export type TextReward = FunctionReward | BatchReward;
export type Reward = TextReward | ColumnReward;

/** Whether it scores any text, not the data's rows alone. */
export const scoresTexts = (reward: Reward): reward is TextReward => !('column' in reward);

export interface RewardTexts {
  readonly prompt: string;
  readonly completion: string;
}

/** A completion to score. */
export interface RewardTarget extends RewardTexts {
  /** Named in errors. */
  readonly origin: Origin;
  /** This completion's values of the data's columns, for rewards that are there already. */
  readonly columns?: Readonly<Record<string, unknown>> | undefined;
}

/** An entry of `rewards` in a configuration, checked and with its defaults. */
export interface RewardConfig {
  name: string;
  /** A JavaScript module whose default export is the function; null for another kind of reward. */
  module: string | null;
  /** The address of an HTTP endpoint; null for another kind. */
  url: string | null;
  /** A column of the data; null for another kind. */
  column: string | null;
  weight: number;
  normalize: 'none' | 'standardize';
  /** Whether scores are kept on disk between runs. */
  cache: boolean;
  /** Options of the built-in reward, or of the endpoint. */
  options: Record<string, unknown>;
}
