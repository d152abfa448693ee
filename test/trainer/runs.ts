import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { parseConfig } from '../../trainer/config.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import type { MetricsLine } from '../../trainer/metrics.ts';
import { readMetrics } from '../../trainer/metrics.node.ts';
import { train } from '../../trainer/train.node.ts';

// Whole training runs inside a test's process: what `prefgrad train` does, without the command line.

/** A folder of this test file, removed at its end. Caches go there too, so no run profits from an older one. */
export const scratch = mkdtempSync(join(tmpdir(), 'prefgrad-test-'));
process.env['HF_HOME'] = join(scratch, 'cache');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let count = 0;
/** A path in `scratch` that nothing has used yet. */
export const fresh = (name = 'run'): string => join(scratch, `${name}-${count++}`);

export interface FinishedRun {
  readonly outputDir: string;
  readonly events: readonly TrainEvent[];
  /** The lines of metrics.jsonl. */
  readonly metrics: readonly MetricsLine[];
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
}

/** Trains as a YAML file with these keys would; `output_dir` is a new folder where it is not given. */
export async function runTraining(
  keys: Readonly<Record<string, unknown>>,
  { signal = new AbortController().signal, onEvent }: RunOptions = {},
): Promise<FinishedRun> {
  const config = parseConfig({ output_dir: fresh(), threads: 1, ...keys }, { source: 'test' });
  const events: TrainEvent[] = [];
  await train(config, {
    signal,
    onEvent(event) {
      events.push(event);
      onEvent?.(event);
    },
  });
  return {
    outputDir: config.outputDir,
    events,
    metrics: await readMetrics(join(config.outputDir, 'metrics.jsonl')),
  };
}

/** The lines of a metrics.jsonl without what depends on the clock. */
export function withoutTimes(lines: readonly MetricsLine[]): MetricsLine[] {
  return lines.map(({ step_time: _, tokens_per_second: __, ...line }) => line);
}

/** Writes rows as JSON lines; the path. */
export function writeRows(rows: readonly unknown[], name = 'rows.jsonl'): string {
  const path = fresh(name);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

/** The rows of a JSON lines file. */
export const readRows = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
