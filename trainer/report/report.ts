import uplotStyle from 'uplot/dist/uPlot.min.css?raw';
import uplotScript from 'uplot/dist/uPlot.iife.min.js?raw';
import chartsScript from './charts.js?raw';
import style from './style.css?raw';
import { chartGroups, type Chart, type ChartGroup } from './charts.ts';
import { counted, rewardNames } from './comparison.ts';
import { headline } from './headline.ts';
import { inlineElement, jsonScript, markup, type Html } from './html.ts';
import { formatCount, formatDuration, formatInteger, formatNumber } from './numbers.ts';
import type { RunRecord } from './record.ts';
import { evaluationTable, memoryTable, metricsTable, settingsTable } from './tables.ts';
import { sampleTable } from './samples.ts';
import { tradeoffPlot } from './tradeoff.ts';

/** What a report is made of; see record.ts, which gathers it from a run's events. */
export type ReportInput = RunRecord;

/**
 * A run's report as one self-contained HTML page: headline numbers before and after, curves, preference accuracy
 * against auxiliary reward, completions before and after, configuration. It loads nothing from anywhere, and all text
 * that came from data or models is escaped. What was not measured is left out.
 */
export function renderReport(input: ReportInput): string {
  const groups = chartGroups(input);
  const charts = groups.flatMap((group) => group.charts);
  const title = titleOf(input);
  const samples = sampleTable(input);
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <title>${title}</title>
        ${inlineElement('style', uplotStyle + style)}
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          ${facts(input)}
          <nav aria-label="Sections">
            <ul>
              <li><a href="#results">Results</a></li>
              <li><a href="#curves">Curves</a></li>
              ${samples === undefined ? undefined : markup`<li><a href="#completions">Completions</a></li>`}
              <li><a href="#configuration">Configuration</a></li>
            </ul>
          </nav>
          ${warnings(input)}
        </header>
        <main>
          <section id="results" aria-label="Results">
            <h2>Results</h2>
            ${headline(input)} ${tradeoff(input)} ${evaluationTable(input)}
          </section>
          <section id="curves" aria-label="Curves">
            <h2>Curves</h2>
            ${charts.length === 0 ? markup`<p>No step was logged.</p>` : undefined}
            <noscript><p>A script in this page draws the curves; without it, see the numbers behind them.</p></noscript>
            ${groups.map((group) => chartSection(group, charts))} ${metricsTable(input)}
          </section>
          ${
            samples === undefined
              ? undefined
              : markup`<section id="completions" aria-label="Completions">
                  <h2>Completions before and after</h2>
                  ${samples}
                </section>`
          }
          <section id="configuration" aria-label="Configuration">
            <h2>Configuration</h2>
            ${configuration(input)}
          </section>
        </main>
        <footer>
          Written by
          prefgrad.${usesHpo(input) ? markup` HPO: Badrinath, Agarwal, Xu, “Hybrid Preference Optimization”, <a href="https://arxiv.org/abs/2405.17956">arXiv 2405.17956</a>.` : undefined}
        </footer>
        ${jsonScript(
          'charts',
          charts.map((chart) => ({ ...chart, summary: undefined })),
        )}
        ${inlineElement('script', uplotScript)} ${inlineElement('script', chartsScript)}
      </body>
    </html> `;
  return page.text;
}

function titleOf({ start }: RunRecord): string {
  if (start === undefined) return 'A run of prefgrad';
  const path = start.model.replace(/[\\/]+$/, '').split(/[\\/]/);
  return `${path.slice(-2).join('/')}: ${start.method}`;
}

function usesHpo({ start }: RunRecord): boolean {
  return start !== undefined && /\bhpo\b/i.test(start.method);
}

/** One line of what the run was. */
function facts(record: RunRecord): Html {
  const { start, end } = record;
  if (start === undefined) return markup`<p>The run ended before its first step.</p>`;
  const reached = end?.step ?? record.lines.at(-1)?.step ?? start.firstStep;
  const state =
    end === undefined
      ? ' (did not end)'
      : end.status === 'stopped'
        ? ' (stopped by the user)'
        : end.early === undefined
          ? ''
          : ` (ended early: ${end.early})`;
  const rows: [string, string][] = [
    ['Model', start.model],
    [
      'Parameters',
      start.trainableParameters === start.parameters
        ? formatCount(start.parameters)
        : `${formatCount(start.parameters)}, ${formatCount(start.trainableParameters)} of them trained`,
    ],
    [
      'Data',
      counted(start.data.train, 'row') +
        (start.data.heldOut > 0 ? `, ${start.data.heldOut} held out` : '') +
        (start.data.leftOut > 0 ? `, ${start.data.leftOut} too long` : ''),
    ],
    ['Steps', `${formatInteger(reached)} of ${formatInteger(start.totalSteps)}${state}`],
    ...(end === undefined
      ? []
      : [['Time', formatDuration(record.secondsBefore + end.seconds)] satisfies [string, string]]),
    ...(end?.best === undefined
      ? []
      : [
          [
            'Model kept',
            `step ${end.best.step}, the best ${end.best.metric}: ${formatNumber(end.best.value)}`,
          ] satisfies [string, string],
        ]),
    ['Device', start.device + (start.threads === undefined ? '' : `, ${counted(start.threads, 'thread')}`)],
    ['Date', start.startedAt.slice(0, 16).replace('T', ' ') + (start.startedAt.endsWith('Z') ? ' UTC' : '')],
  ];
  return markup`<dl class="facts">
    ${rows.map(
      ([name, value]) =>
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function warnings(record: RunRecord): Html | undefined {
  if (record.warnings.length === 0) return undefined;
  const items = record.warnings.map(
    ({ message, step }) => markup`<li>${step === undefined ? undefined : `Step ${step}: `}${message}</li>`,
  );
  return markup`<section class="warnings" aria-label="Warnings">
    <strong>${counted(items.length, 'warning')}</strong>
    <ul>
      ${items.slice(0, 5)}
    </ul>
    ${
      items.length > 5
        ? markup`<details>
            <summary>${items.length - 5} more</summary>
            <ul>
              ${items.slice(5)}
            </ul>
          </details>`
        : undefined
    }
  </section>`;
}

/** A plot per reward, the total's first. */
function tradeoff(record: RunRecord): Html | undefined {
  const plots = rewardNames(record).flatMap((name) => tradeoffPlot(record, name) ?? []);
  if (plots.length === 0) return undefined;
  return markup`<h3>Preference accuracy against auxiliary reward</h3>
    <p class="note">
      A point per evaluation; up and to the right is better in both. The square is the model before training.
    </p>
    <div class="tradeoffs">${plots}</div>`;
}

function chartSection(group: ChartGroup, all: readonly Chart[]): Html {
  const figures = markup`<div class="charts">
    ${group.charts.map(
      (chart) =>
        markup`<figure class="chart">
          <figcaption>
            ${chart.title}${chart.scale === 'log' ? markup` <span class="note">(logarithmic)</span>` : undefined}
          </figcaption>
          <div class="canvas" role="img" aria-label="${chart.summary}" data-chart="${all.indexOf(chart)}"></div>
          ${gaps(chart)}
        </figure>`,
    )}
  </div>`;
  const note = group.note === undefined ? undefined : markup`<p class="note">${group.note}</p>`;
  return group.folded === true
    ? markup`<details>
        <summary>${group.title}</summary>
        ${note}${figures}
      </details>`
    : markup`<h3>${group.title}</h3>
        ${note}${figures}`;
}

/** Says where a curve is interrupted, since a gap is easily overlooked. */
function gaps({ series }: Chart): Html | undefined {
  const missing = series.flatMap(({ label, x, y }) => {
    const steps = x.filter((_, i) => y[i] === null);
    return steps.length === 0
      ? []
      : `${label}: not finite at ${counted(steps.length, 'logged step')}, first at ${steps[0]}`;
  });
  return missing.length === 0 ? undefined : markup`<p class="note worse">${missing.join('; ')}</p>`;
}

function configuration(record: RunRecord): Html {
  const { start, memory, end } = record;
  const outputs = Object.fromEntries((end?.outputs ?? []).map(({ label, path }) => [label, path]));
  return markup`<div class="settings-grid">
    <div>${settingsTable('Configuration', start?.config ?? {})}</div>
    <div>
      ${settingsTable('Environment', start?.environment ?? {})}
      ${memory === undefined ? undefined : memoryTable(memory)} ${settingsTable('Outputs', outputs)}
    </div>
  </div>`;
}
