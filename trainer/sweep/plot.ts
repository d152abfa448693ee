import { markup, type Html } from '../report/html.ts';
import { formatNumber, formatPercent } from '../report/numbers.ts';
import { ticks } from '../report/tradeoff.ts';
import type { AccuracyName, Placed, SweepResult } from './results.ts';
import { placed } from './results.ts';

const width = 640;
const height = 440;
const plot = { left: 72, right: width - 24, top: 20, bottom: height - 52 };

/** The plot's own colours, so that the file looks the same outside a report; Okabe and Ito's, as there. */
const style = `
.pareto { font: 13px system-ui, sans-serif; background: #fff; }
.pareto text { fill: #575e68; font-size: 12px; }
.pareto .name { fill: #1a1d21; font-size: 13px; font-weight: 600; }
.pareto .grid { stroke: #dfe3e8; }
.pareto .front { fill: none; stroke: #0072b2; stroke-width: 2; stroke-linejoin: round; opacity: .6; }
.pareto .spread { stroke-width: 1.5; opacity: .55; }
.pareto .seed { opacity: .35; }
.pareto .point { fill: #0072b2; stroke: #0072b2; }
.pareto .base { fill: #d55e00; stroke: #d55e00; }
.pareto .reference { fill: #00805e; stroke: #00805e; }
@media (prefers-color-scheme: dark) {
.pareto { background: #1b1f24; }
.pareto text { fill: #a7afb9; }
.pareto .name { fill: #e8eaed; }
.pareto .grid { stroke: #343b44; }
.pareto .front { stroke: #56b4e9; }
.pareto .point { fill: #56b4e9; stroke: #56b4e9; }
.pareto .base { fill: #f08a3c; stroke: #f08a3c; }
.pareto .reference { fill: #2fc496; stroke: #2fc496; }
}`;

export const accuracyNames: Record<AccuracyName, string> = {
  accuracy: 'accuracy by log-probability, held out',
  implicitAccuracy: 'accuracy against the reference, held out',
};

/** A plot's file for each accuracy. */
export const accuracyFiles = [
  ['accuracy', 'pareto.svg'],
  ['implicitAccuracy', 'pareto-implicit.svg'],
] as const satisfies (readonly [AccuracyName, string])[];

/**
 * Preference accuracy (up) against a reward of sampled completions (right): a point for each setting, the mean over
 * seeds with one standard deviation each way and the seeds as small dots; the Pareto front is joined. Undefined where
 * fewer than two results have both.
 */
export function paretoPlot(
  results: readonly SweepResult[],
  reward: string,
  accuracy: AccuracyName,
): Html | undefined {
  const points = placed(results, reward, accuracy);
  if (points.length < 2) return undefined;
  const extent = (of: (point: Placed) => Placed['x']) =>
    points.flatMap((point) => {
      const { mean, deviation, values } = of(point);
      return [mean - deviation, mean + deviation, ...values];
    });
  const xs = ticks(
    extent(({ x }) => x),
    6,
  );
  const ys = ticks(
    extent(({ y }) => y),
    5,
  );
  const at = (value: number, range: readonly number[], from: number, to: number) => {
    const [low, high] = [range[0], range[range.length - 1]];
    return Math.round(10 * (from + ((value - low) / (high - low)) * (to - from))) / 10;
  };
  const x = (value: number) => at(value, xs, plot.left, plot.right);
  const y = (value: number) => at(value, ys, plot.bottom, plot.top);
  const front = points.filter((point) => point.front).toSorted((a, b) => a.x.mean - b.x.mean);
  const path = front.map((point) => `${x(point.x.mean)},${y(point.y.mean)}`).join(' ');
  const what = reward === 'total' ? 'total reward' : `reward “${reward}”`;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" class="pareto" viewBox="0 0 ${width} ${height}" role="img" aria-label="${sentence(points, what)}"><style>${style}</style>
${xs.map(
  (tick) => markup`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${plot.top}" y2="${plot.bottom}" />
<text x="${x(tick)}" y="${plot.bottom + 18}" text-anchor="middle">${formatNumber(tick)}</text>
`,
)}${ys.map(
    (
      tick,
    ) => markup`<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${y(tick)}" y2="${y(tick)}" />
<text x="${plot.left - 8}" y="${y(tick) + 4}" text-anchor="end">${percent(tick, ys)}</text>
`,
  )}<text x="${(plot.left + plot.right) / 2}" y="${height - 10}" text-anchor="middle">${what} of sampled completions →</text>
<text transform="translate(14 ${(plot.top + plot.bottom) / 2}) rotate(-90)" text-anchor="middle">${accuracyNames[accuracy]} →</text>
<polyline class="front" points="${path}" />
${points.map((point) => mark(point, x, y))}${names(points, x, y)}</svg>`;
}

/** Whole percents where ticks are as far apart. */
const percent = (tick: number, all: readonly number[]): string =>
  `${(100 * tick).toFixed(all[1] - all[0] < 0.0099 ? 1 : 0)} %`;

type Scale = (value: number) => number;

function mark({ result, x, y }: Placed, toX: Scale, toY: Scale): Html {
  const [cx, cy] = [toX(x.mean), toY(y.mean)];
  const tip = `${nameOf(result)}: accuracy ${formatPercent(y.mean)} ± ${(100 * y.deviation).toFixed(1)} points, reward ${formatNumber(x.mean)} ± ${formatNumber(x.deviation)}, ${result.seeds.length} ${result.seeds.length === 1 ? 'seed' : 'seeds'}`;
  const seeds =
    x.values.length < 2
      ? []
      : x.values.map(
          (
            value,
            i,
          ) => markup`<circle class="seed ${result.role}" cx="${toX(value)}" cy="${toY(y.values[i])}" r="2.5" />
`,
        );
  const spread = markup`<line class="spread ${result.role}" x1="${toX(x.mean - x.deviation)}" x2="${toX(x.mean + x.deviation)}" y1="${cy}" y2="${cy}" />
<line class="spread ${result.role}" x1="${cx}" x2="${cx}" y1="${toY(y.mean - y.deviation)}" y2="${toY(y.mean + y.deviation)}" />
`;
  const shape =
    result.role === 'point'
      ? markup`<circle class="point" cx="${cx}" cy="${cy}" r="6"><title>${tip}</title></circle>`
      : markup`<rect class="${result.role}" x="${cx - 6}" y="${cy - 6}" width="12" height="12"><title>${tip}</title></rect>`;
  return markup`${seeds}${spread}${shape}
`;
}

/** Labels beside their points; one that would lie on an earlier one moves on. */
function names(points: readonly Placed[], toX: Scale, toY: Scale): Html[] {
  const taken: { left: number; right: number; y: number }[] = [];
  return points.map(({ result, x, y }) => {
    const text = nameOf(result);
    const size = 7.2 * text.length;
    const [cx, cy] = [toX(x.mean), toY(y.mean)];
    const leftwards = cx + 11 + size > plot.right;
    const [left, right] = leftwards ? [cx - 11 - size, cx - 11] : [cx + 11, cx + 11 + size];
    const free = (at: number) =>
      at > plot.top &&
      at < plot.bottom &&
      !taken.some((one) => one.left < right && one.right > left && Math.abs(one.y - at) < 14);
    const at = [-9, 17, 4, -24, 32, 46, -38].map((shift) => cy + shift).find(free) ?? cy - 9;
    taken.push({ left, right, y: at });
    return markup`<text class="name" x="${leftwards ? right : left}" y="${at}" text-anchor="${leftwards ? 'end' : 'start'}">${text}</text>
`;
  });
}

/** `hpo.gamma=0.5` is `γ 0.5`; others as they are written. */
export function nameOf({ label, role }: Pick<SweepResult, 'label' | 'role'>): string {
  return role === 'point'
    ? label.replace(/\bhpo\.gamma=/g, 'γ ').replace(/\bhpo\.lambda=/g, 'λ ')
    : label.replace(/^base/, 'base loss');
}

function sentence(points: readonly Placed[], what: string): string {
  const parts = points.map(
    ({ result, x, y, front }) =>
      `${nameOf(result)}: ${formatPercent(y.mean)} and ${formatNumber(x.mean)}${front ? ' (on the Pareto front)' : ''}`,
  );
  return `Preference accuracy against ${what}. ${parts.join('; ')}.`;
}
