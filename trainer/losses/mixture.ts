import { PrefgradError } from '../../engine/errors.ts';
import { add, affine } from '../../engine/index.ts';
import type { PairLoss } from './pairs.ts';
import { meanOverPairs } from './pairs.ts';

export interface MixturePart {
  readonly loss: PairLoss;
  /** Default 1. */
  readonly weight?: number;
}

/**
 * Σ w · L over pairwise losses (MPO: Wang et al., arXiv 2411.10442). The metrics are those of the first part.
 * Errors: no part.
 */
export function mixture(parts: readonly MixturePart[]): PairLoss {
  const [head] = parts;
  if (head === undefined) throw new PrefgradError('mixture: needs at least one loss');
  const losses = parts.map(({ loss }) => loss);
  return meanOverPairs({
    ...head.loss,
    name: parts.map(({ loss, weight = 1 }) => `${weight === 1 ? '' : `${weight} `}${loss.name}`).join(' + '),
    separate: losses.every(({ separate }) => separate),
    usesStatistics: losses.some(({ usesStatistics }) => usesStatistics === true),
    // An input of one name is the same in every part.
    inputTypes: (capacity) => joined(losses.map((loss) => loss.inputTypes(capacity))),
    inputs: (...from) => joined(losses.map((loss) => loss.inputs(...from))),
    perPair: (batch) =>
      parts.map(({ loss, weight = 1 }) => affine(loss.perPair(batch), weight)).reduce((a, b) => add(a, b)),
  });
}

const joined = <T>(records: readonly Readonly<Record<string, T>>[]): Record<string, T> =>
  Object.fromEntries(records.flatMap((record) => Object.entries(record)));
