import type { Phase } from '../trainer/events.ts';
import type { StepMetrics } from '../trainer/metrics.ts';
import { formatDuration, formatNumber } from '../trainer/report/numbers.ts';

/** What each phase is called while it goes on. */
export const phaseNames: Record<Phase, string> = {
  data: 'reading the data, percent',
  load: 'loading the model',
  rewards: 'auxiliary rewards',
  reference: 'reference log-probs',
  evaluate: 'evaluating',
  sample: 'sampling completions',
  save: 'saving',
};

/** Where training is, for its line. */
export interface StepStatus {
  step: number;
  totalSteps: number;
  metrics: StepMetrics;
  tokensPerSecond: number | undefined;
  elapsed: number;
  /** Seconds left, undefined until a step was timed. */
  left: number | undefined;
}

/** A field of the line; the one with the highest `drop` leaves first where the terminal is narrow. */
interface Field {
  text: string;
  drop: number;
}

/** `step 120/400  loss 0.512  margin 1.23  1,204 tok/s  1:23 elapsed  3:10 left` */
export function stepFields({
  step,
  totalSteps,
  metrics,
  tokensPerSecond,
  elapsed,
  left,
}: StepStatus): Field[] {
  const fields: (Field | undefined)[] = [
    { text: `step ${step}/${totalSteps}`, drop: 0 },
    named('loss', metrics['loss'], 1),
    named('margin', metrics['rewards/margins'], 3),
    tokensPerSecond === undefined
      ? undefined
      : { text: `${formatNumber(Math.round(tokensPerSecond))} tok/s`, drop: 4 },
    { text: `${formatDuration(elapsed)} elapsed`, drop: 5 },
    left === undefined ? undefined : { text: `${formatDuration(left)} left`, drop: 2 },
  ];
  return fields.flatMap((field) => field ?? []);
}

export function phaseFields(phase: Phase, done: number, total: number): Field[] {
  return [
    { text: phaseNames[phase], drop: 0 },
    { text: `${done}/${total}`, drop: 1 },
  ];
}

/** Fields in one line, for a log. */
export function joinFields(fields: readonly Field[]): string {
  return fields.map(({ text }) => text).join('  ');
}

/** Fields with a bar after the first, in at most `columns` characters: fields leave, then the bar. */
export function fitLine(fields: readonly Field[], fraction: number, columns: number): string {
  const kept = [...fields];
  while (kept.length > 1 && joinFields(kept).length > columns) {
    const worst = Math.max(...kept.map(({ drop }) => drop));
    kept.splice(
      kept.findIndex(({ drop }) => drop === worst),
      1,
    );
  }
  const line = joinFields(kept);
  const width = Math.min(24, columns - line.length - 2);
  if (width < 8) return line.slice(0, columns);
  const full = Math.round(Math.min(Math.max(fraction, 0), 1) * width);
  const bar = '█'.repeat(full) + '░'.repeat(width - full);
  const [first, ...rest] = kept;
  return joinFields([first, { text: bar, drop: 0 }, ...rest]);
}

function named(name: string, value: number | undefined, drop: number): Field | undefined {
  return value === undefined
    ? undefined
    : { text: `${name} ${Number.isNaN(value) ? 'NaN' : formatNumber(value)}`, drop };
}
