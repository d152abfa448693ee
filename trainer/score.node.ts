import { open } from 'node:fs/promises';
import { PrefgradError } from '../engine/errors.ts';
import { findRows } from './data/find.node.ts';
import { loadRowsForScoring } from './data/load.ts';
import type { TrainEvent } from './events.ts';
import { scoreRows } from './scoreRows.ts';
import { openSession } from './session.ts';

export interface ScoreFileOptions {
  readonly model: string;
  readonly data: string;
  readonly out: string;
  /** Tokens of prompt and completion that are kept; the model's context by default. */
  readonly maxLength?: number;
  readonly addBos: boolean;
  readonly device: 'auto' | 'webgpu' | 'wasm' | 'reference';
  readonly threads?: number;
}

/**
 * Writes a line per usable row of `data` to `out`: summed log-probs in nats and token counts of its completions.
 * Errors: a row that cannot be scored is left out and counted; a file without any is an error.
 */
export async function scoreFile(
  options: ScoreFileOptions,
  { onEvent }: { onEvent: (event: TrainEvent) => void },
): Promise<{ rows: number; leftOut: number }> {
  const reading = {
    onProgress: (done: number, total: number) => onEvent({ type: 'progress', phase: 'data', done, total }),
  };
  const file = await findRows(options.data, reading);
  const session = await openSession({
    ...options,
    frozen: true,
    maxPositions: options.maxLength,
    onProgress: (phase, done, total) => onEvent({ type: 'progress', phase, done, total }),
  });
  try {
    const { model, tokenizer } = session;
    const { rows, leftOut, warnings } = await loadRowsForScoring(
      file,
      tokenizer,
      model,
      { maxLength: options.maxLength ?? null, addBos: options.addBos },
      reading,
    );
    for (const message of warnings) onEvent({ type: 'warning', message });
    const scores = await scoreRows(session, rows, (done, total) =>
      onEvent({ type: 'progress', phase: 'evaluate', done, total }),
    );
    const lines = scores.map((row) => JSON.stringify(row));
    await write(options.out, `${lines.join('\n')}\n`);
    return { rows: rows.length, leftOut: leftOut.length };
  } finally {
    await session.dispose();
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'w');
    await file.writeFile(text).finally(() => file.close());
  } catch (error) {
    throw new PrefgradError(
      `${path}: cannot be written (${error instanceof Error ? error.message : String(error)}); choose another --out`,
    );
  }
}
