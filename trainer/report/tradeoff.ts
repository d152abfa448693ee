import { known } from './comparison.ts';
import { markup, type Html } from './html.ts';
import { formatNumber, formatPercent } from './numbers.ts';
import type { RunRecord } from './record.ts';

interface Point {
  step: number;
  reward: number;
  accuracy: number;
}

const width = 440;
const height = 320;
const plot = { left: 58, right: width - 16, top: 18, bottom: height - 46 };

/**
 * Preference accuracy (up) against the mean of an auxiliary reward over sampled completions (right), a point per
 * evaluation, joined in order of step; the start is the reference model. Undefined where no evaluation has both.
 */
export function tradeoffPlot(record: RunRecord, reward: string): Html | undefined {
  const points = record.evaluations.flatMap(({ step, accuracy, auxiliary }): Point[] => {
    const [x, y] = [known(auxiliary[reward]?.sampled), known(accuracy)];
    return x === undefined || y === undefined ? [] : [{ step, reward: x, accuracy: y }];
  });
  const [start, end] = [points[0], points.at(-1)];
  if (start === undefined || end === undefined) return undefined;

  const xs = ticks(
    points.map((point) => point.reward),
    5,
  );
  const ys = ticks(
    points.map((point) => point.accuracy),
    5,
    { least: 0, most: 1 },
  );
  const x = (value: number) => place(value, xs, plot.left, plot.right);
  const y = (value: number) => place(value, ys, plot.bottom, plot.top);
  const label = reward === 'total' ? 'total auxiliary reward' : `auxiliary reward “${reward}”`;
  const path = points.map((point) => `${x(point.reward)},${y(point.accuracy)}`).join(' ');
  const text =
    `Preference accuracy against ${label}: from ${formatPercent(start.accuracy)} and ${formatNumber(start.reward)} ` +
    `at step ${start.step} to ${formatPercent(end.accuracy)} and ${formatNumber(end.reward)} at step ${end.step}.`;

  return markup`<figure class="chart tradeoff">
    <figcaption>${reward === 'total' ? 'Total reward' : reward}</figcaption>
    <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${text}">
      ${xs.map(
        (tick) =>
          markup`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${plot.top}" y2="${plot.bottom}" />
            <text x="${x(tick)}" y="${plot.bottom + 18}" text-anchor="middle">${formatNumber(tick)}</text>`,
      )}
      ${ys.map(
        (tick) =>
          markup`<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${y(tick)}" y2="${y(tick)}" />
            <text x="${plot.left - 8}" y="${y(tick) + 4}" text-anchor="end">${tickPercent(tick, ys)}</text>`,
      )}
      <text x="${(plot.left + plot.right) / 2}" y="${height - 8}" text-anchor="middle">mean reward of sampled completions →</text>
      <text transform="translate(13 ${(plot.top + plot.bottom) / 2}) rotate(-90)" text-anchor="middle">accuracy, held out →</text>
      <polyline class="path" points="${path}" />
      ${points.slice(1, -1).map((point) => markup`<circle class="between" cx="${x(point.reward)}" cy="${y(point.accuracy)}" r="4">${tip(point)}</circle>`)}
      ${
        points.length > 1
          ? markup`<circle class="end" cx="${x(end.reward)}" cy="${y(end.accuracy)}" r="6.5">${tip(end)}</circle>
            ${name(`step ${end.step}`, x(end.reward), y(end.accuracy), x(start.reward), y(start.accuracy))}`
          : undefined
      }
      <rect class="start" x="${x(start.reward) - 6}" y="${y(start.accuracy) - 6}" width="12" height="12">${tip(start)}</rect>
      ${name(start.step === 0 ? 'reference' : `step ${start.step}`, x(start.reward), y(start.accuracy), x(end.reward), y(end.accuracy))}
    </svg>
  </figure>`;
}

/** A label beside a point, on the side away from the other end and inside the plot. */
function name(text: string, x: number, y: number, otherX: number, otherY: number): Html {
  const room = 75;
  const leftwards = x > plot.right - room || (x < otherX && x > plot.left + room);
  const up = y < otherY ? y - plot.top > 16 : plot.bottom - y < 22;
  const where = markup`x="${x + (leftwards ? -11 : 11)}" y="${y + (up ? -9 : 17)}" text-anchor="${leftwards ? 'end' : 'start'}"`;
  return markup`<text class="name" ${where}>${text}</text>`;
}

function tip({ step, reward, accuracy }: Point): Html {
  return markup`<title>step ${step}: accuracy ${formatPercent(accuracy)}, reward ${formatNumber(reward)}</title>`;
}

/** Round numbers around the values, about `count` of them, with some air unless a bound forbids it. */
export function ticks(
  values: readonly number[],
  count: number,
  bounds?: { least: number; most: number },
): number[] {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const air = high > low ? (high - low) * 0.12 : Math.max(Math.abs(low) * 0.1, 0.05);
  low = Math.max(low - air, bounds?.least ?? -Infinity);
  high = Math.min(high + air, bounds?.most ?? Infinity);
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  const found: number[] = [];
  for (let i = Math.floor(low / step + 1e-9); i <= Math.ceil(high / step - 1e-9); i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

function place(value: number, range: readonly number[], from: number, to: number): number {
  const [low, high] = [range[0], range[range.length - 1]];
  return Math.round(10 * (from + ((value - low) / (high - low)) * (to - from))) / 10;
}

function tickPercent(tick: number, all: readonly number[]): string {
  return `${(100 * tick).toFixed(all[1] - all[0] < 0.0099 ? 1 : 0)} %`;
}
