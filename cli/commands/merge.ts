import type { TrainEvent } from '../../trainer/events.ts';
import { breakable } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import type { Context, DeviceOptions } from './context.ts';

export interface MergeOptions extends DeviceOptions {
  /** A folder of PEFT's. */
  model: string;
  out: string;
  dtype: 'f32' | 'f16' | 'bf16';
  json: boolean;
}

export interface MergeWork {
  /** Writes the base with the adapter merged into it to `options.out`. */
  merge(options: MergeOptions, run: { onEvent: (event: TrainEvent) => void }): Promise<{ base: string }>;
}

export async function runMerge(options: MergeOptions, context: Context, work: MergeWork): Promise<number> {
  const { stdout, stderr } = context.terminal;
  const progress = new Progress(context.terminal, context.now);
  return breakable(
    context.signals,
    () => progress.stop(),
    async () => {
      try {
        const { base } = await work.merge(options, { onEvent: (event) => progress.onEvent(event) });
        progress.stop();
        if (options.json)
          stdout.write(`${JSON.stringify({ base, adapter: options.model, out: options.out })}\n`);
        else stderr.write(`${options.model} merged into ${base}: ${options.out}\n`);
        return 0;
      } finally {
        progress.stop();
      }
    },
  );
}
