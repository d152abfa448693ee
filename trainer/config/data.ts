import { nearest } from './nearest.ts';
import { dataShape, type GivenSettings } from './schema.ts';
import type { DataPart } from './types.ts';

type GivenData = GivenSettings['data'] | GivenSettings['evalData'];

/** Completes the entries of `data` or `eval_data`; a single file without a weight is its path. */
export function completeData(
  given: GivenData,
  key: 'data' | 'eval_data',
  mistakes: string[],
): string | DataPart[] | null {
  if (given === undefined || given === null) return null;
  const parts = given.map(({ path, weight = null, ...rest }, i): DataPart => {
    for (const unknown of Object.keys(rest))
      mistakes.push(
        `${key}[${i}].${unknown}: is no key of a data file; did you mean ${nearest(unknown, Object.keys(dataShape))}?`,
      );
    return { path, weight };
  });
  const weights = parts.filter(({ weight }) => weight !== null).length;
  if (key === 'eval_data' && weights > 0)
    mistakes.push('eval_data: has weights, but held-out rows are measured once each; leave the weights out');
  else if (weights > 0 && weights < parts.length)
    mistakes.push(`${key}: ${weights} of ${parts.length} files have a weight; give one to each, or to none`);
  return parts.length === 1 && weights === 0 ? parts[0].path : parts;
}
