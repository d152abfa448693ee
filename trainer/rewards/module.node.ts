import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrefgradError } from '../../engine/errors.ts';
import type { ScoreFunction } from './reward.ts';

export interface RewardModule {
  readonly score: ScoreFunction;
  /** The module's text: scores are cached as long as it stays the same. What it imports is not looked at. */
  readonly source: string;
}

/**
 * A user's own reward: a module whose default export is `(prompt, completion) => number`, or a promise of
 * one. Relative paths are relative to the current directory. Throws a PrefgradError for a file that is
 * missing or fails to load, and for a default export that is no function.
 */
export async function loadRewardModule(path: string, name: string): Promise<RewardModule> {
  const file = resolve(path);
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch (error) {
    throw new PrefgradError(
      `reward ${name}: ${path} can not be read (${message(error)}); give the path of a module`,
    );
  }
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new PrefgradError(`reward ${name}: ${path} fails to load: ${message(error)}`);
  }
  const score: unknown =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined;
  if (isScore(score)) return { score, source };
  throw new PrefgradError(
    `reward ${name}: ${path} has ${score === undefined ? 'no default export' : `a ${typeof score} as default export`}, expected a function: export default (prompt, completion) => number`,
  );
}

const isScore = (value: unknown): value is ScoreFunction => typeof value === 'function';
const message = (error: unknown) => (error instanceof Error ? error.message : String(error));
