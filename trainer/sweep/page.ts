import style from '../report/style.css?raw';
import { inlineElement, markup, type Html } from '../report/html.ts';
import { formatAlike, formatPercent } from '../report/numbers.ts';
import { settingsTable } from '../report/tables.ts';
import { accuracyNames, nameOf, paretoPlot } from './plot.ts';
import type { AccuracyName, Spread, SweepResult } from './results.ts';
import { rewardsOf } from './results.ts';

export interface SweepPage {
  readonly title: string;
  readonly results: readonly SweepResult[];
  /** Runs done, and of how many. */
  readonly done: number;
  readonly total: number;
  /** What all points share. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where a point's own reports are, seed by seed, relative to the page. */
  readonly reports: ReadonlyMap<string, readonly { readonly seed: number; readonly path: string }[]>;
}

const accuracies = ['accuracy', 'implicitAccuracy'] as const satisfies AccuracyName[];

/** A sweep's report as one self-contained HTML page. */
export function renderSweep(page: SweepPage): string {
  const { title, results, done, total, settings } = page;
  const plots = rewardsOf(results).flatMap((reward) =>
    accuracies.flatMap((accuracy) => {
      const svg = paretoPlot(results, reward, accuracy);
      return svg === undefined ? [] : [figure(reward, accuracy, svg)];
    }),
  );
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <title>${title}</title>
        ${inlineElement('style', style)}
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          <p>
            ${done} of ${total} runs are done. Means over seeds, ± one standard deviation; up and to the right is
            better in both. The base loss is training without the auxiliary rewards (γ = 0); the reference is the model
            before training.
          </p>
        </header>
        <main>
          <section aria-label="Pareto front">
            <h2>Preference accuracy against auxiliary reward</h2>
            ${plots.length === 0 ? markup`<p>Fewer than two settings are done.</p>` : markup`<div class="tradeoffs">${plots}</div>`}
          </section>
          <section aria-label="Numbers">
            <h2>Numbers</h2>
            ${table(page)}
          </section>
          <section aria-label="Configuration">
            <h2>Configuration</h2>
            ${settingsTable('What all runs share', settings)}
          </section>
        </main>
        <footer>
          Written by prefgrad. HPO: Badrinath, Agarwal, Xu, “Hybrid Preference Optimization”,
          <a href="https://arxiv.org/abs/2405.17956">arXiv 2405.17956</a>.
        </footer>
      </body>
    </html> `.text;
}

function figure(reward: string, accuracy: AccuracyName, svg: Html): Html {
  return markup`<figure class="chart tradeoff">
    <figcaption>${reward === 'total' ? 'Total reward' : reward}, ${accuracyNames[accuracy]}</figcaption>
    ${svg}
  </figure>`;
}

function table({ results, reports }: SweepPage): Html {
  const rewards = rewardsOf(results);
  const numbers = (title: string, spreads: readonly (Spread | undefined)[], percent = false) => {
    const means = spreads.map((one) => (percent ? one?.mean : rounded(one?.mean)));
    const texts = percent ? means.map(formatPercent) : formatAlike(means);
    const deviation = (one: Spread) =>
      percent ? (100 * one.deviation).toFixed(1) : String(Number(one.deviation.toPrecision(2)));
    return {
      title,
      cells: spreads.map((one, i) =>
        one === undefined ? '–' : one.values.length < 2 ? texts[i] : `${texts[i]} ± ${deviation(one)}`,
      ),
    };
  };
  const of = (pick: (result: SweepResult) => Spread | undefined) => results.map(pick);
  const columns = [
    numbers(
      'Accuracy by log-probability',
      of((one) => one.accuracy),
      true,
    ),
    numbers(
      'Accuracy against the reference',
      of((one) => one.implicitAccuracy),
      true,
    ),
    ...rewards.map((name) =>
      numbers(
        name === 'total' ? 'Total reward' : name,
        of((one) => one.rewards[name]),
      ),
    ),
    numbers(
      'Words of a sample',
      of((one) => one.words),
    ),
  ];
  return markup`<div class="table" role="region" aria-label="Results" tabindex="0">
    <table class="numbers">
      <caption>
        Results by setting
      </caption>
      <thead>
        <tr>
          <th scope="col">Setting</th>
          ${columns.map(({ title }) => markup`<th scope="col">${title}</th>`)}
          <th scope="col">Reports by seed</th>
        </tr>
      </thead>
      <tbody>
        ${results.map(
          (one, i) =>
            markup`<tr>
              <th scope="row">${nameOf(one)}</th>
              ${columns.map(({ cells }) => markup`<td>${cells[i]}</td>`)}
              <td>${(reports.get(one.label) ?? []).map(({ seed, path }) => markup`<a href="${path}">${seed}</a> `)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** To four significant digits, more than seeds agree on. */
const rounded = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Number(value.toPrecision(4));
