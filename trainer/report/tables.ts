import type { MemoryPlan } from '../events.ts';
import { rewardNames } from './comparison.ts';
import { markup, type Html } from './html.ts';
import { formatAlike, formatBytes, formatNumber, formatPercent } from './numbers.ts';
import type { RunRecord } from './record.ts';

/** A row per evaluation: accuracy, margin, loss, and each auxiliary reward. */
export function evaluationTable(record: RunRecord): Html | undefined {
  const { evaluations } = record;
  if (evaluations.length === 0) return undefined;
  const column = (title: string, values: readonly (number | null | undefined)[], format = formatAlike) => ({
    title,
    cells: values.some((value) => value !== undefined) ? format(values) : [],
  });
  const columns = [
    column(
      'Accuracy',
      evaluations.map(({ accuracy }) => accuracy),
      (values) => values.map(formatPercent),
    ),
    column(
      'Margin',
      evaluations.map(({ margin }) => margin),
    ),
    column(
      'Loss',
      evaluations.map(({ metrics }) => metrics['loss']),
    ),
    ...rewardNames(record).flatMap((name) =>
      (['sampled', 'chosen', 'rejected'] as const).map((side) =>
        column(
          `${name}, ${side}`,
          evaluations.map(({ auxiliary }) => auxiliary[name]?.[side]),
        ),
      ),
    ),
  ].filter(({ cells }) => cells.length > 0);
  return scrolling(
    'Evaluations on held-out data',
    markup`<table class="numbers">
      <caption>
        Evaluations on held-out data
      </caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          ${columns.map(({ title }) => markup`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${evaluations.map(
          ({ step }, row) =>
            markup`<tr>
              <th scope="row">${step}</th>
              ${columns.map(({ cells }) => markup`<td>${cells[row]}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>`,
  );
}

/** A table of settings; nested keys as a command line would write them, `hpo.gamma`. */
export function settingsTable(title: string, settings: Readonly<Record<string, unknown>>): Html | undefined {
  const rows = flatten(settings);
  if (rows.length === 0) return undefined;
  return markup`<div class="table">
    <table class="settings">
      <caption>
        ${title}
      </caption>
      <tbody>
        ${rows.map(
          ([key, value]) =>
            markup`<tr>
              <th scope="row"><code>${key}</code></th>
              <td>${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export function memoryTable(plan: MemoryPlan): Html | undefined {
  const { parameters, gradients, optimizer, arena, total, logitsKept, blocksRecomputed } = plan;
  return settingsTable('Memory', {
    parameters: formatBytes(parameters),
    gradients: formatBytes(gradients),
    'optimizer state': formatBytes(optimizer),
    'one step’s arena': formatBytes(arena),
    total: formatBytes(total),
    'logits of a microbatch': logitsKept ? 'kept' : 'computed again',
    'blocks in the backward pass': blocksRecomputed ? 'computed again' : 'kept',
  });
}

/** The logged lines behind the curves, at most `limit` of them spread evenly. */
export function metricsTable(record: RunRecord, limit = 60): Html | undefined {
  const lines = record.lines.filter((line) => line['loss'] !== undefined);
  if (lines.length === 0) return undefined;
  const count = Math.min(limit, lines.length);
  const shown = Array.from(
    { length: count },
    (_, i) => lines[count === 1 ? 0 : Math.round((i * (lines.length - 1)) / (count - 1))],
  );
  const names = [...new Set(shown.flatMap((line) => Object.keys(line)))].filter((name) => name !== 'step');
  const title = count < lines.length ? `${count} of ${lines.length} logged steps` : 'Logged steps';
  return markup`<details>
    <summary>The numbers behind the curves</summary>
    ${scrolling(
      title,
      markup`<table class="numbers">
        <caption>
          ${title}; all of them are in metrics.jsonl
        </caption>
        <thead>
          <tr>
            <th scope="col">step</th>
            ${names.map((name) => markup`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (line) =>
              markup`<tr>
                <th scope="row">${line.step}</th>
                ${names.map((name) => markup`<td>${line[name] === null ? 'not finite' : formatNumber(line[name])}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>`,
    )}
  </details>`;
}

/** A wide table in a box that scrolls sideways, by keyboard too. */
function scrolling(label: string, table: Html): Html {
  return markup`<div class="table" role="region" aria-label="${label}" tabindex="0">${table}</div>`;
}

function flatten(value: unknown, prefix = ''): [string, string][] {
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object' || one === null)) {
    return [[prefix, value.map(String).join(', ')]];
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) =>
      flatten(inner, prefix === '' ? key : `${prefix}.${key}`),
    );
  }
  return value === undefined ? [] : [[prefix, `${value as string | number | boolean | null}`]];
}
