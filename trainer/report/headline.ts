import { compare, known, type Comparison } from './comparison.ts';
import { markup, type Html } from './html.ts';
import { formatAlike, formatChange, formatNumber, formatPercent } from './numbers.ts';
import type { RunRecord } from './record.ts';

/** The numbers a run was for, before and after; where nothing was held out, what training itself says. */
export function headline(record: RunRecord): Html {
  const compared = compare(record);
  if (compared.length > 0) return cards(compared.map(card));
  const why = markup`<p>
    No evaluation was made. With <code>eval_data</code> (held-out pairs) this page shows preference accuracy
    and auxiliary rewards before and after training.
  </p>`;
  const trained = [
    trainingCard(record, 'loss', 'Training loss', formatNumber),
    trainingCard(record, 'rewards/accuracies', 'Training accuracy', formatPercent),
    trainingCard(record, 'rewards/margins', 'Training margin', formatNumber),
  ];
  return markup`${why}${cards(trained.flatMap((one) => one ?? []))}`;
}

/** Up to four side by side, five and six as rows of three. */
function cards(all: readonly Html[]): Html {
  const columns = all.length <= 4 ? all.length : all.length <= 6 ? 3 : 4;
  return markup`<div class="cards" style="--columns: ${columns}">${all}</div>`;
}

function card({ kind, label, before, after, error, basis }: Comparison): Html {
  const change = before === undefined || after === undefined ? undefined : changeOf(kind, after - before);
  const spread =
    error === undefined || error === 0
      ? ''
      : `, ± ${kind === 'accuracy' ? `${(100 * error).toFixed(1)} points` : Number(error.toPrecision(2))} (standard error)`;
  return markup`<div class="card">
    <h3>${label}</h3>
    <p class="values">
      ${values(kind === 'accuracy' ? [before, after].map(formatPercent) : formatAlike([before, after]), after)}
    </p>
    <p class="note">${change}${change === undefined ? undefined : ' · '}${basis}${spread}</p>
  </div>`;
}

function values([before, after]: readonly string[], measured: number | undefined): Html {
  if (measured === undefined) return markup`${before} <span class="note">before training</span>`;
  return markup`<span class="from">${before} →</span> ${after}`;
}

/** `+17.3 points`, in the colour of better or worse; the sign says it too. */
function changeOf(kind: Comparison['kind'], change: number): Html {
  const text =
    kind === 'accuracy' ? `${formatChange(Number((100 * change).toFixed(1)))} points` : formatChange(change);
  const tone = change > 0 ? 'better' : change < 0 ? 'worse' : 'same';
  return markup`<span class="change ${tone}">${text}</span>`;
}

function trainingCard(
  record: RunRecord,
  metric: string,
  label: string,
  format: (value: number | undefined) => string,
): Html | undefined {
  const logged = record.lines.filter((line) => line[metric] !== undefined);
  const [first, last] = [logged[0], logged.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const one = first === last;
  return markup`<div class="card">
    <h3>${label}</h3>
    <p class="values">
      ${one ? undefined : markup`<span class="from">${format(known(first[metric]))} →</span>`}
      ${format(known(last[metric]))}
    </p>
    <p class="note">${one ? `step ${first.step}` : `steps ${first.step} and ${last.step}`}</p>
  </div>`;
}
