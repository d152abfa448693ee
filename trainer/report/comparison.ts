import type { Evaluation } from '../events.ts';
import { firstEvaluation, lastEvaluation, type RunRecord } from './record.ts';

/** One measure before and after training; higher is better for all of them. */
export interface Comparison {
  /** `accuracy`, `margin`, or an auxiliary reward. */
  kind: 'accuracy' | 'margin' | 'reward';
  label: string;
  before: number | undefined;
  after: number | undefined;
  /** One standard error of `after` where it can be had. */
  error: number | undefined;
  /** What it was measured on: `64 held-out pairs`, `32 sampled completions`. */
  basis: string;
}

/** What a run was for: accuracy and margin on held-out pairs, and each auxiliary reward of sampled completions. */
export function compare(record: RunRecord): Comparison[] {
  const before = firstEvaluation(record);
  const after = lastEvaluation(record);
  if (before === undefined) return [];
  const pairs = counted((after ?? before).pairs, 'held-out pair');
  const found: Comparison[] = [
    {
      kind: 'accuracy',
      label: 'Preference accuracy',
      before: known(before.accuracy),
      after: known(after?.accuracy),
      error: binomialError(known(after?.accuracy), after?.pairs),
      basis: pairs,
    },
    {
      kind: 'margin',
      label: 'Margin, chosen − rejected (nats)',
      before: known(before.margin),
      after: known(after?.margin),
      error: undefined,
      basis: pairs,
    },
    ...rewardNames(record).map((name): Comparison => {
      const values = samplesOf(after ?? before, name);
      return {
        kind: 'reward',
        label: name === 'total' ? 'Total reward' : `Reward “${name}”`,
        before: known(before.auxiliary[name]?.sampled),
        after: known(after?.auxiliary[name]?.sampled),
        error: after === undefined ? undefined : standardError(values),
        basis: values.length > 0 ? counted(values.length, 'sampled completion') : 'sampled completions',
      };
    }),
  ];
  return found.filter((one) => one.before !== undefined || one.after !== undefined);
}

/** The auxiliary rewards a run measured, the total first where there are several. */
export function rewardNames(record: RunRecord): string[] {
  const names = new Set<string>();
  for (const { auxiliary } of record.evaluations) for (const name of Object.keys(auxiliary)) names.add(name);
  return [...names].toSorted((a, b) => Number(b === 'total') - Number(a === 'total'));
}

/** A finite number, or undefined. */
export function known(value: number | null | undefined): number | undefined {
  return value === null || value === undefined || !Number.isFinite(value) ? undefined : value;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function samplesOf(evaluation: Evaluation, name: string): number[] {
  return (evaluation.samples ?? []).flatMap(({ rewards }) => known(rewards[name]) ?? []);
}

function binomialError(fraction: number | undefined, count: number | undefined): number | undefined {
  return fraction === undefined || !count ? undefined : Math.sqrt((fraction * (1 - fraction)) / count);
}

function standardError(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  const error = Math.sqrt(variance / values.length);
  return error > 1e-9 * Math.abs(mean) ? error : undefined; // equal values but for rounding
}
