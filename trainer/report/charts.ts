import type { MetricsLine } from '../metrics.ts';
import { known } from './comparison.ts';
import { formatNumber } from './numbers.ts';
import type { RunRecord } from './record.ts';

/** A line in a chart; null is a gap (a number that was not finite). */
export interface Series {
  label: string;
  /** Which of the palette's colours, 1 to 4; a fixed meaning each: chosen 1, rejected 2, held-out or sampled 3. */
  colour: 1 | 2 | 3 | 4;
  dashed?: boolean;
  points?: boolean;
  x: number[];
  y: (number | null)[];
}

/** What charts.js draws. */
export interface Chart {
  title: string;
  /** One sentence for readers who see no canvas. */
  summary: string;
  series: Series[];
  /** Vertical lines at a step. */
  marks: { x: number; label: string }[];
  scale: 'linear' | 'log';
  percent: boolean;
}

export interface ChartGroup {
  title: string;
  note?: string;
  charts: Chart[];
  /** Closed until asked for. */
  folded?: boolean;
}

/** A curve to look for: the metric's name in metrics.jsonl, and how it is drawn. */
type Curve = [metric: string, label: string, colour: Series['colour'], style?: 'dashed' | 'points'];

/** More points than this are averaged into as many buckets. */
const maxPoints = 400;

interface Recipe {
  title: string;
  curves: Curve[];
  marks?: Chart['marks'];
  percent?: boolean;
  /** Logarithmic where all values are positive and spread over more than two decades. */
  mayBeLog?: boolean;
}

/** The charts of a run: what it has no numbers for is left out. */
export function chartGroups(record: RunRecord): ChartGroup[] {
  const { start } = record;
  const actorOn =
    start?.actorWarmupSteps !== undefined && start.actorWarmupSteps > 0
      ? [{ x: start.actorWarmupSteps, label: 'actor on' }]
      : [];
  const warmUp =
    start !== undefined && start.warmupSteps > 0 ? [{ x: start.warmupSteps, label: 'warm-up ends' }] : [];
  const used = new Set(['step', 'epoch', 'num_tokens']);
  const draw = (recipe: Recipe): Chart[] => {
    for (const [metric] of recipe.curves) used.add(metric);
    return drawn(record.lines, recipe);
  };
  const rewards = rewardMetrics(record.lines);
  const groups: ChartGroup[] = [
    {
      title: 'Loss',
      charts: [
        ...draw({
          title: 'Total loss',
          curves: [
            ['loss', 'training', 1],
            ['eval_loss', 'held out', 3, 'points'],
          ],
          marks: actorOn,
        }),
        ...draw({ title: 'Preference loss', curves: [['loss/preference', 'preference', 1]], marks: actorOn }),
        ...draw({
          title: 'Actor loss',
          curves: [['loss/actor', 'actor', 4]],
          marks: actorOn,
          mayBeLog: true,
        }),
        ...draw({
          title: 'Value loss',
          curves: [['loss/value', 'value', 2]],
          marks: actorOn,
          mayBeLog: true,
        }),
      ],
    },
    {
      title: 'Preference',
      note: 'Implicit rewards: β · (log p of the model − log p of the reference).',
      charts: [
        ...draw({
          title: 'Implicit reward',
          curves: [
            ['rewards/chosen', 'chosen', 1],
            ['rewards/rejected', 'rejected', 2, 'dashed'],
          ],
        }),
        ...draw({
          title: 'Reward margin',
          curves: [
            ['rewards/margins', 'training', 1],
            ['eval_rewards/margins', 'held out', 3, 'points'],
          ],
        }),
        ...draw({
          title: 'Preference accuracy',
          curves: [
            ['rewards/accuracies', 'training, against the reference', 1],
            ['eval_rewards/accuracies', 'held out, against the reference', 3, 'points'],
            ['eval_accuracy', 'held out, by log-probability', 4, 'points'],
          ],
          percent: true,
        }),
        ...draw({
          title: 'Log-probability of a completion',
          curves: [
            ['logps/chosen', 'chosen', 1],
            ['logps/rejected', 'rejected', 2, 'dashed'],
          ],
        }),
        ...draw({ title: 'KL estimate', curves: [['kl', 'KL', 1]] }),
      ],
    },
    {
      title: 'Auxiliary rewards',
      note: 'Of the batch’s chosen and rejected completions, and of completions sampled at evaluations.',
      charts: rewards.flatMap((name) =>
        draw({
          title: name,
          curves: [
            [`auxiliary/${name}/chosen`, 'chosen', 1],
            [`auxiliary/${name}/rejected`, 'rejected', 2, 'dashed'],
            [`eval_auxiliary/${name}/sampled`, 'sampled', 3, 'points'],
          ],
        }),
      ),
    },
    {
      title: 'Weights and value head',
      charts: [
        ...draw({
          title: 'Actor weight exp(λA)',
          curves: [
            ['weight/chosen', 'chosen', 1],
            ['weight/rejected', 'rejected', 2, 'dashed'],
          ],
          mayBeLog: true,
        }),
        ...draw({ title: 'Weights clipped', curves: [['weight/clipped', 'fraction', 4]], percent: true }),
        ...draw({
          title: 'Value and advantage',
          curves: [
            ['value/mean', 'value', 1],
            ['advantage/mean', 'advantage', 2, 'dashed'],
          ],
        }),
      ],
    },
    {
      title: 'Optimizer and speed',
      charts: [
        ...draw({
          title: 'Gradient norm before clipping',
          curves: [
            ['grad_norm', 'model', 1],
            ['grad_norm/value', 'value head', 2, 'dashed'],
          ],
          mayBeLog: true,
        }),
        ...draw({
          title: 'Learning rate',
          curves: [
            ['learning_rate', 'model', 1],
            ['learning_rate/value', 'value head', 2, 'dashed'],
          ],
          marks: warmUp,
        }),
        ...draw({ title: 'Tokens per second', curves: [['tokens_per_second', 'tokens/s', 3]] }),
      ],
    },
  ];
  for (const name of rewards) {
    for (const side of ['chosen', 'rejected']) used.add(`eval_auxiliary/${name}/${side}`);
  }
  const further = [...new Set(record.lines.flatMap((line) => Object.keys(line)))].filter(
    (name) => !used.has(name),
  );
  groups.push({
    title: 'Further metrics',
    charts: further.toSorted().flatMap((name) => draw({ title: name, curves: [[name, name, 1]] })),
    folded: true,
  });
  return groups.filter(({ charts }) => charts.length > 0);
}

/** The rewards that lines speak of, the total first. */
function rewardMetrics(lines: readonly MetricsLine[]): string[] {
  const names = new Set<string>();
  for (const line of lines) {
    for (const key of Object.keys(line)) {
      const name = /^(?:eval_)?auxiliary\/(.+)\/(?:chosen|rejected|sampled)$/.exec(key)?.[1];
      if (name !== undefined) names.add(name);
    }
  }
  return [...names].toSorted((a, b) => Number(b === 'total') - Number(a === 'total'));
}

function drawn(lines: readonly MetricsLine[], recipe: Recipe): Chart[] {
  const series = recipe.curves.flatMap(([metric, label, colour, style]): Series[] => {
    const measured = lines.filter((line) => line[metric] !== undefined);
    if (measured.length === 0) return [];
    const points = averaged(
      measured.map(({ step }) => step),
      measured.map((line) => known(line[metric]) ?? null),
    );
    return [{ label, colour, dashed: style === 'dashed', points: style === 'points', ...points }];
  });
  if (series.length === 0) return [];
  const values = series.flatMap(({ y }) => y.flatMap((value) => value ?? []));
  const [least, most] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  return [
    {
      title: recipe.title,
      summary: summary(recipe.title, series),
      series,
      marks: recipe.marks ?? [],
      scale: recipe.mayBeLog === true && least > 0 && most / least > 100 ? 'log' : 'linear',
      percent: recipe.percent ?? false,
    },
  ];
}

/** At most maxPoints points, each the mean of its bucket; a bucket with a gap stays a gap, so that no NaN hides. */
function averaged(x: number[], y: (number | null)[]): { x: number[]; y: (number | null)[] } {
  if (x.length <= maxPoints) return { x, y };
  const points: { x: number[]; y: (number | null)[] } = { x: [], y: [] };
  for (let bucket = 0; bucket < maxPoints; bucket++) {
    const from = Math.floor((bucket * x.length) / maxPoints);
    const to = Math.floor(((bucket + 1) * x.length) / maxPoints);
    const inside = y.slice(from, to).flatMap((value) => value ?? []);
    points.x.push(x[to - 1]);
    points.y.push(
      inside.length < to - from ? null : inside.reduce((sum, value) => sum + value, 0) / inside.length,
    );
  }
  return points;
}

function summary(title: string, series: readonly Series[]): string {
  const parts = series.map(({ label, x, y }) => {
    const first = y.findIndex((value) => value !== null);
    if (first < 0) return `${label}: not finite at any logged step`;
    const last = y.findLastIndex((value) => value !== null);
    if (first === last) return `${label}: ${formatNumber(y[first])} at step ${x[first]}`;
    return `${label}: ${formatNumber(y[first])} at step ${x[first]}, ${formatNumber(y[last])} at step ${x[last]}`;
  });
  return `${title}. ${parts.join('; ')}.`;
}
