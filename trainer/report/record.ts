import { PrefgradError } from '../../engine/errors.ts';
import type { Evaluation, MemoryPlan, RunEnd, RunStart, TrainEvent } from '../events.ts';
import type { MetricsLine } from '../metrics.ts';

/**
 * All that a report says about a run, as plain JSON: a checkpoint keeps it, so that a resumed run's report
 * starts where the run did.
 */
export interface RunRecord {
  start?: RunStart;
  memory?: MemoryPlan;
  lines: MetricsLine[];
  /** In order of step. Samples are kept of the first, the best and the last that has any. */
  evaluations: Evaluation[];
  warnings: { message: string; step?: number; code?: string }[];
  /** Whether the run ended before its last step for want of a better evaluation. */
  early?: boolean;
  end?: RunEnd;
  /** Wall seconds of the parts before a resume. */
  secondsBefore: number;
}

export function emptyRecord(): RunRecord {
  return { lines: [], evaluations: [], warnings: [], secondsBefore: 0 };
}

/** Adds what an event says to the record. */
export function recordEvent(record: RunRecord, event: TrainEvent): void {
  switch (event.type) {
    case 'start': {
      const { type: _, ...start } = event;
      // a resumed run keeps its first part's beginning, but says what it runs with now
      record.start = record.start === undefined ? start : { ...start, startedAt: record.start.startedAt };
      break;
    }
    case 'memory':
      record.memory = event.plan;
      break;
    case 'log':
      record.lines.push(event.line);
      break;
    case 'evaluation':
      addEvaluation(record, event.evaluation);
      break;
    case 'warning': {
      const { type: _, ...warning } = event;
      record.warnings.push(warning);
      break;
    }
    case 'end': {
      const { type: _, ...end } = event;
      record.end = end;
      break;
    }
    case 'progress':
    case 'step':
    case 'checkpoint':
    case 'profile':
      break;
  }
}

/** The record as a checkpoint keeps it (JSON), `seconds` of wall time after this part of the run began. */
export function saveRecord(record: RunRecord, seconds: number): string {
  const { end: _, ...kept } = record;
  return JSON.stringify({ ...kept, secondsBefore: record.secondsBefore + seconds });
}

/** The record from a checkpoint's file; `where` is what an error calls that file. */
export function restoreRecord(text: string, where: string): RunRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isRecord(value))
    throw new PrefgradError(`${where}: expected a run's record as prefgrad writes it; is it whole?`);
  return value;
}

/** The model before training, where it was measured. */
export function firstEvaluation(record: RunRecord): Evaluation | undefined {
  return record.evaluations[0];
}

/** The evaluation of the final model: the latest after the first, or that of the best model where it was loaded. */
export function lastEvaluation(record: RunRecord): Evaluation | undefined {
  const { best } = record.end ?? {};
  if (best !== undefined) return record.evaluations.find(({ step }) => step === best.step);
  return record.evaluations.length > 1 ? record.evaluations.at(-1) : undefined;
}

function addEvaluation(record: RunRecord, evaluation: Evaluation): void {
  const all = [...record.evaluations, evaluation];
  const sampled = all.filter(({ samples }) => samples !== undefined);
  const kept = new Set([sampled[0], sampled.findLast(({ best }) => best === true), sampled.at(-1)]);
  record.evaluations = all.map((one) => (kept.has(one) ? one : { ...one, samples: undefined }));
}

/** Its shape alone: the file's sha-256 was compared before. */
function isRecord(value: unknown): value is RunRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'lines' in value &&
    Array.isArray(value.lines) &&
    'evaluations' in value &&
    Array.isArray(value.evaluations) &&
    'warnings' in value &&
    Array.isArray(value.warnings) &&
    'secondsBefore' in value &&
    typeof value.secondsBefore === 'number'
  );
}
