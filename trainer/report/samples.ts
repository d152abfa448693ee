import type { Sample } from '../events.ts';
import { known } from './comparison.ts';
import { markup, type Html } from './html.ts';
import { formatChange, formatNumber } from './numbers.ts';
import type { RunRecord } from './record.ts';

/** Rows that are seen at once; the others are folded away. */
const shown = 8;

/** One side of the comparison: what a column is called, and the completions in it. */
interface Column {
  label: string;
  samples: readonly Sample[];
}

/** What the model wrote before and after training, a row per prompt. Undefined where nothing was sampled. */
export function sampleTable(record: RunRecord): Html | undefined {
  const sampled = record.evaluations.filter(({ samples }) => (samples?.length ?? 0) > 0);
  const { best } = record.end ?? {};
  const final = best ? sampled.find(({ step }) => step === best.step) : sampled.at(-1);
  const [first, last] = [sampled[0], sampled.length > 1 ? final : undefined];
  if (first === undefined) return undefined;
  const before = { label: `Before (step ${first.step})`, samples: first.samples ?? [] };
  const after =
    last === undefined ? undefined : { label: `After (step ${last.step})`, samples: last.samples ?? [] };
  const rows = before.samples.map((sample, i) =>
    sampleRow(before, sample, after, matching(after, sample, i)),
  );
  const rest = rows.slice(shown);
  return markup`${table(before, after, rows.slice(0, shown))}
  ${rest.length === 0 ? undefined : markup`<details><summary>${rest.length} more</summary>${table(before, after, rest)}</details>`}`;
}

/** The later completion of the same prompt: in the same row, or else wherever it is. */
function matching(after: Column | undefined, sample: Sample, row: number): Sample | undefined {
  const same = after?.samples[row];
  return same?.prompt === sample.prompt
    ? same
    : after?.samples.find(({ prompt }) => prompt === sample.prompt);
}

// A narrow screen shows rows as blocks, for which browsers forget that this is a table: hence the roles.
function table(before: Column, after: Column | undefined, rows: readonly Html[]): Html {
  const head = ['Prompt', before.label, ...(after === undefined ? [] : [after.label])];
  return markup`<div class="table"><table class="samples" role="table">
    <thead role="rowgroup"><tr role="row">${head.map((label) => markup`<th scope="col" role="columnheader">${label}</th>`)}</tr></thead>
    <tbody role="rowgroup">${rows}</tbody>
  </table></div>`;
}

function sampleRow(
  before: Column,
  sample: Sample,
  after: Column | undefined,
  later: Sample | undefined,
): Html {
  return markup`<tr role="row">
    <th scope="row" role="rowheader" data-label="Prompt"><div class="text prompt" dir="auto">${sample.prompt}</div></th>
    ${completion(before.label, sample, undefined)}
    ${after === undefined ? undefined : completion(after.label, later, sample)}
  </tr>`;
}

function completion(label: string, sample: Sample | undefined, earlier: Sample | undefined): Html {
  if (sample === undefined)
    return markup`<td role="cell" data-label="${label}"><i class="muted">not sampled</i></td>`;
  const text = sample.completion === '' ? markup`<i class="muted">(nothing)</i>` : sample.completion;
  const scores = Object.keys(sample.rewards).map((name) => score(name, sample, earlier));
  const cut = sample.truncated === true ? markup`<li>cut at the limit of new tokens</li>` : undefined;
  return markup`<td role="cell" data-label="${label}">
    <div class="text" dir="auto">${text}</div>
    <ul class="scores">${scores}${cut}</ul>
  </td>`;
}

function score(name: string, sample: Sample, earlier: Sample | undefined): Html {
  const [now, then] = [known(sample.rewards[name]), known(earlier?.rewards[name])];
  const change = now === undefined || then === undefined ? undefined : now - then;
  const tone = (change ?? 0) > 0 ? 'better' : (change ?? 0) < 0 ? 'worse' : 'same';
  return markup`<li>${name} <b>${formatNumber(now)}</b>${change === undefined ? undefined : markup` <span class="${tone}">${formatChange(change)}</span>`}</li>`;
}
