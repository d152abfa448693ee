import { PrefgradError } from '../../engine/errors.ts';

/** A key with the values that it takes, as they were written. */
export interface Axis {
  readonly key: string;
  readonly values: readonly string[];
}

/** One setting of all axes; it is trained once per seed. */
export interface SweepPoint {
  /** `hpo.gamma=0.5`; what the base loss is called is `base`, with the axes that it depends on. */
  readonly label: string;
  /** `base`: without the actor loss. */
  readonly role: 'point' | 'base';
  /** As `prefgrad train` takes them. */
  readonly overrides: readonly string[];
}

export interface SweepPlan {
  readonly axes: readonly Axis[];
  /** Arguments of one value, which hold for every point. */
  readonly common: readonly string[];
  readonly points: readonly SweepPoint[];
}

/**
 * What `key=a,b,c` arguments ask for: a point for every combination of values, and the base loss (`hpo.gamma=0`) beside
 * them, once for each combination of what it depends on: keys outside `hpo` and `rewards`. Errors: an argument of another
 * form; no key with several values.
 */
export function planSweep(args: readonly string[]): SweepPlan {
  const split = args.map((argument) => {
    const equals = argument.indexOf('=');
    if (equals < 1)
      throw new PrefgradError(
        `${argument}: is not of the form key=value or key=a,b,c, such as hpo.gamma=0.1,0.3,1`,
      );
    return { key: argument.slice(0, equals).trim(), values: splitValues(argument.slice(equals + 1)) };
  });
  const axes = split.filter(({ values }) => values.length > 1);
  for (const { key, values } of axes) {
    const twice = values.find((value, i) => values.indexOf(value) < i);
    if (twice !== undefined) throw new PrefgradError(`${key}: has the value ${twice} twice; name it once`);
    if (split.filter((other) => other.key === key).length > 1)
      throw new PrefgradError(`${key}: is given twice; give all its values at once`);
    if (key === 'seed')
      throw new PrefgradError(
        'seed: has several values; give them as --seeds, so that results are means over them',
      );
  }
  if (axes.length === 0)
    throw new PrefgradError(
      'no key has several values, such as hpo.gamma=0.1,0.3,1: there is nothing to compare',
    );
  const common = split
    .filter(({ values }) => values.length === 1)
    .map(({ key, values }) => `${key}=${values[0]}`);
  const points = new Map<string, SweepPoint>();
  const add = (point: SweepPoint) => points.set(point.label, point);
  for (const settings of combinations(axes)) {
    const outer = settings.filter(([key]) => !/^(hpo\b|rewards\b)/.test(key));
    add({
      role: 'base',
      label: ['base', ...outer.map(written)].join(' '),
      overrides: [...outer.map(written), 'hpo.gamma=0'],
    });
  }
  for (const settings of combinations(axes)) {
    if (settings.some(([key, value]) => key === 'hpo.gamma' && Number(value) === 0)) continue;
    const overrides = settings.map(written);
    add({ role: 'point', label: overrides.join(' '), overrides });
  }
  return { axes, common, points: [...points.values()] };
}

const written = ([key, value]: readonly [string, string]): string => `${key}=${value}`;

/** Every way to give each axis one of its values, the last axis changing fastest. */
function combinations(axes: readonly Axis[]): [string, string][][] {
  return axes.reduce<[string, string][][]>(
    (found, { key, values }) =>
      found.flatMap((settings) => values.map((value): [string, string][] => [...settings, [key, value]])),
    [[]],
  );
}

/** Splits at commas that no bracket or quote encloses. */
function splitValues(text: string): string[] {
  const values = [''];
  let depth = 0;
  let quote = '';
  for (const c of text) {
    if (quote !== '') quote = c === quote ? '' : quote;
    else if (c === '"' || c === "'") quote = c;
    else if ('[{'.includes(c)) depth++;
    else if (']}'.includes(c)) depth--;
    else if (c === ',' && depth === 0) {
      values.push('');
      continue;
    }
    values[values.length - 1] += c;
  }
  return values.map((value) => value.trim());
}
