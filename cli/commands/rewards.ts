import type { TrainConfig } from '../../trainer/config.ts';
import { place } from '../../trainer/data/rows.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import { counted } from '../../trainer/report/comparison.ts';
import { formatAlike, formatChange, formatNumber } from '../../trainer/report/numbers.ts';
import type { RewardsInspection } from '../../trainer/rewards.node.ts';
import type { Distribution, RewardSummary } from '../../trainer/rewards/summary.ts';
import { breakable } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { formatTable } from '../table.ts';
import { paintFor } from '../terminal.ts';
import type { Context } from './context.ts';

export interface RewardsOptions {
  /** A training configuration's path. */
  config: string;
  /** `key=value` arguments. */
  overrides: string[];
  json: boolean;
}

export interface RewardsWork {
  /** Computes the rewards of the training data, and trains nothing. */
  rewards(config: TrainConfig, run: { onEvent: (event: TrainEvent) => void }): Promise<RewardsInspection>;
}

/** Failures that a person is shown; --json lists all. */
const SHOWN = 5;

/** Returns 1 where a completion has no score, since training would stop there. */
export async function runRewards(
  options: RewardsOptions,
  context: Context,
  work: RewardsWork,
): Promise<number> {
  const { loadConfig } = await import('../../trainer/config.node.ts');
  const config = loadConfig(options.config, options.overrides);
  const { stdout, stderr } = context.terminal;
  const progress = new Progress(context.terminal, context.now);
  return breakable(
    context.signals,
    () => progress.stop(),
    async () => {
      try {
        const found = await work.rewards(config, { onEvent: (event) => progress.onEvent(event) });
        progress.stop();
        stdout.write(options.json ? `${JSON.stringify(inspectionJson(found))}\n` : inspectionText(found));
        const paint = paintFor(stderr);
        for (const { message } of found.warnings) stderr.write(`${paint.warning('warning:')} ${message}\n`);
        return found.failures.length > 0 ? 1 : 0;
      } finally {
        progress.stop();
      }
    },
  );
}

function inspectionText(found: RewardsInspection): string {
  const { rewards, weights, pull, failures } = found;
  const head = ['', '', 'count', 'mean', 'sd', 'least', '25 %', 'median', '75 %', 'most', 'spread'];
  const right = [2, 3, 4, 5, 6, 7, 8, 9];
  const parts = [
    `${counted(found.rows, 'row')}, ${counted(found.completions, 'completion')}\n`,
    formatTable([head, ...rewards.flatMap(sideRows)], { right }),
    formatTable(
      [
        ['chosen is', 'higher', 'same', 'lower', 'difference', '', 'correlation', ''],
        ...rewards.map(preferenceRow),
      ],
      {
        right: [1, 2, 3, 4, 6],
      },
    ),
  ];
  if (weights !== undefined)
    parts.push(
      `actor weights before training, with V at ${formatNumber(weights.baseline)}: at most ${formatNumber(weights.largest)}, ` +
        `as much as ${formatNumber(weights.effective)} of ${found.completions} completions alike, ${(100 * weights.clipped).toFixed(1)} % clipped\n` +
        (pull === undefined
          ? ''
          : `at a token the actor pulls ${formatNumber(pull)} times as hard as the preference loss at its start\n`),
    );
  const lines = failures.slice(0, SHOWN).map(({ reward, reason }) => `${reward}: ${reason}\n`);
  if (failures.length > SHOWN) lines.push(`… and ${failures.length - SHOWN} more; --json lists all\n`);
  if (lines.length > 0) parts.push(lines.join(''));
  return parts.join('\n');
}

function sideRows({ name, chosen, rejected }: RewardSummary): string[][] {
  return (['chosen', 'rejected'] as const).map((side, i) => {
    const values = side === 'chosen' ? chosen : rejected;
    return [i === 0 ? name : '', side, ...(values === undefined ? ['0'] : sideNumbers(values))];
  });
}

function sideNumbers({ count, mean, deviation, min, quartiles, max, histogram }: Distribution): string[] {
  return [String(count), ...formatAlike([mean, deviation, min, ...quartiles, max]), bars(histogram)];
}

/** A bar for each bin, its height a share of the highest; a bin with anything in it is seen. */
function bars(histogram: readonly number[]): string {
  const most = Math.max(...histogram, 1);
  return histogram
    .map((count) => (count === 0 ? '·' : '▁▂▃▄▅▆▇█'[Math.ceil((8 * count) / most) - 1]))
    .join('');
}

const verdicts = {
  with: 'wants what the preferences want',
  against: 'pulls against the preferences',
  neither: 'has little to do with the preferences',
};

function preferenceRow({ name, pairs, difference, error, correlation, verdict }: RewardSummary): string[] {
  const change = difference === undefined ? '–' : formatChange(Number(difference.toPrecision(3)));
  return [
    name,
    ...[pairs.higher, pairs.same, pairs.lower].map(String),
    change,
    error === undefined ? '' : `± ${formatNumber(Number(error.toPrecision(2)))}`,
    correlation === undefined ? '–' : formatChange(Number(correlation.toFixed(3))),
    difference === undefined ? '' : verdicts[verdict],
  ];
}

/** For machines: snake_case, null for what there is not. */
function inspectionJson({
  rows,
  completions,
  rewards,
  failures,
  weights,
  pull,
  warnings,
}: RewardsInspection): unknown {
  const side = (one: Distribution | undefined) =>
    one === undefined
      ? null
      : {
          ...{ count: one.count, mean: one.mean, sd: one.deviation, min: one.min, max: one.max },
          ...{ q25: one.quartiles[0], median: one.quartiles[1], q75: one.quartiles[2] },
          histogram: one.histogram,
        };
  return {
    rows,
    completions,
    rewards: rewards.map(
      ({ name, failed, chosen, rejected, pairs, difference, error, correlation, verdict, alike }) => ({
        ...{ name, failed, chosen: side(chosen), rejected: side(rejected), pairs },
        ...{
          difference: difference ?? null,
          standard_error: error ?? null,
          correlation: correlation ?? null,
        },
        ...{ verdict, alike },
      }),
    ),
    actor_weights: weights ?? null,
    actor_pull: pull ?? null,
    failures: failures.map(({ reward, target, reason }) => ({ reward, at: place(target.origin), reason })),
    warnings,
  };
}
