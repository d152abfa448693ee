import type { TrainEvent } from '../../trainer/events.ts';
import { counted } from '../../trainer/report/comparison.ts';
import { breakable } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import type { Context, DeviceOptions } from './context.ts';

export interface ScoreOptions extends DeviceOptions {
  model: string;
  data: string;
  out: string;
  /** Tokens of prompt and completion; undefined for the model's own limit. */
  maxLength?: number;
  addBos: boolean;
  json: boolean;
}

export interface ScoreWork {
  /** Writes a line per row to `options.out`: log-probs and token counts, rows in the data's order. */
  score(
    options: ScoreOptions,
    run: { onEvent: (event: TrainEvent) => void },
  ): Promise<{ rows: number; leftOut: number }>;
}

export async function runScore(options: ScoreOptions, context: Context, work: ScoreWork): Promise<number> {
  const { stdout, stderr } = context.terminal;
  const progress = new Progress(context.terminal, context.now);
  return breakable(
    context.signals,
    () => progress.stop(),
    async () => {
      try {
        const { rows, leftOut } = await work.score(options, { onEvent: (event) => progress.onEvent(event) });
        progress.stop();
        if (options.json) stdout.write(`${JSON.stringify({ rows, left_out: leftOut, out: options.out })}\n`);
        else {
          const rest = leftOut > 0 ? `; ${leftOut} left out, their prompts alone fill max_length` : '';
          stderr.write(`${counted(rows, 'row')} scored to ${options.out}${rest}\n`);
        }
        return 0;
      } finally {
        progress.stop();
      }
    },
  );
}
