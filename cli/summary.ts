import type { Evaluation, RunEnd } from '../trainer/events.ts';
import { compare, type Comparison } from '../trainer/report/comparison.ts';
import {
  formatAlike,
  formatChange,
  formatDuration,
  formatNumber,
  formatPercent,
} from '../trainer/report/numbers.ts';
import { firstEvaluation, lastEvaluation, type RunRecord } from '../trainer/report/record.ts';
import { formatTable } from './table.ts';

/** What a run achieved and wrote, as text: a table of before and after, then the paths of its outputs. */
export function summaryText(record: RunRecord): string {
  const { end, start } = record;
  if (end === undefined) return '';
  const steps = `${end.step} of ${start?.totalSteps ?? end.step} steps in ${formatDuration(end.seconds)}`;
  const head = `${end.status === 'stopped' ? 'stopped after' : 'trained'} ${steps}\n${endText(end)}`;
  const compared = compare(record);
  const table =
    compared.length === 0
      ? ''
      : `\n${formatTable([['', 'before', 'after', 'change', ''], ...compared.map(row)], { right: [1, 2, 3] })}`;
  const outputs =
    end.outputs.length === 0 ? '' : `\n${formatTable(end.outputs.map(({ label, path }) => [label, path]))}`;
  return head + table + outputs;
}

/** Why it ended early, and which evaluation's model it kept. */
function endText({ early, best }: RunEnd): string {
  const lines = [
    ...(early === undefined ? [] : [`ended early: ${early}`]),
    ...(best === undefined
      ? []
      : [`the best model was kept: step ${best.step}, ${best.metric} ${formatNumber(best.value)}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** The same for machines. */
export function summaryJson(record: RunRecord): Record<string, unknown> {
  const { start, end } = record;
  return {
    status: end?.status,
    step: end?.step,
    total_steps: start?.totalSteps,
    seconds: end?.seconds,
    early: end?.early,
    best: end?.best,
    before: evaluationJson(firstEvaluation(record)),
    after: evaluationJson(lastEvaluation(record)),
    warnings: record.warnings.map(({ message }) => message),
    outputs: Object.fromEntries((end?.outputs ?? []).map(({ label, path }) => [label, path])),
  };
}

/** An evaluation as one flat object under the names of metrics.jsonl: `accuracy`, `logps/chosen`, `auxiliary/short/sampled`. */
export function evaluationJson(
  evaluation: Evaluation | undefined,
): Record<string, number | null> | undefined {
  if (evaluation === undefined) return undefined;
  const { pairs, accuracy, margin, metrics, auxiliary } = evaluation;
  const flat: Record<string, number | null> = {
    pairs,
    accuracy: accuracy ?? null,
    margin: margin ?? null,
    ...metrics,
  };
  for (const [name, means] of Object.entries(auxiliary)) {
    for (const side of ['chosen', 'rejected', 'sampled'] as const) {
      const value = means[side];
      if (value !== undefined) flat[`auxiliary/${name}/${side}`] = value;
    }
  }
  return flat;
}

function row({ kind, label, before, after, basis }: Comparison): string[] {
  const [from, to] = kind === 'accuracy' ? [before, after].map(formatPercent) : formatAlike([before, after]);
  const change = before === undefined || after === undefined ? undefined : after - before;
  const points = (fraction: number) => `${formatChange(Number((100 * fraction).toFixed(1)))} points`;
  return [
    label,
    from,
    to,
    change === undefined ? '' : kind === 'accuracy' ? points(change) : formatChange(change),
    `(${basis})`,
  ];
}
