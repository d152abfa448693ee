import type { ProfileSummary } from '../../engine/index.ts';
import type { TrainConfig } from '../../trainer/config.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import { emptyRecord, recordEvent } from '../../trainer/report/record.ts';
import { UsageError } from '../errors.ts';
import { interruptible } from '../interrupt.ts';
import { profileTable } from '../profileTable.ts';
import { Progress } from '../progress.ts';
import { summaryJson, summaryText } from '../summary.ts';
import type { Context } from './context.ts';

export interface TrainOptions {
  config: string;
  /** `key=value` arguments. */
  overrides: string[];
  json: boolean;
  profile: boolean;
}

/** The work itself, in the trainer's layer. */
export interface TrainWork {
  /**
   * Trains and writes all outputs; resolves after the `end` event. When `signal` is aborted it ends the step, saves a checkpoint and ends with status `stopped`; before the first step it throws the signal's reason.
   */
  train(
    config: TrainConfig,
    run: { signal: AbortSignal; onEvent: (event: TrainEvent) => void; profile: boolean },
  ): Promise<void>;
}

/** Returns the exit code. */
export async function runTrain(options: TrainOptions, context: Context, work: TrainWork): Promise<number> {
  const { terminal } = context;
  const odd = options.overrides.find((override) => !/^[^=]+=/.test(override));
  if (odd !== undefined) {
    throw new UsageError(`${JSON.stringify(odd)} is not of the form key=value, such as learning_rate=1e-5`);
  }
  const { loadConfig } = await import('../../trainer/config.node.ts');
  const config = loadConfig(options.config, options.overrides);
  const progress = new Progress(terminal, context.now);
  const record = emptyRecord();
  let profile: ProfileSummary | undefined;
  const signals = {
    first: () =>
      progress.message('stopping after this step, to save a checkpoint; Ctrl-C again to leave at once'),
    second: () => progress.stop(),
  };
  return interruptible(context.signals, signals, async ({ signal, exitCode }) => {
    try {
      await work.train(config, {
        signal,
        profile: options.profile,
        onEvent: (event) => {
          if (event.type === 'profile') profile = event.summary;
          recordEvent(record, event);
          progress.onEvent(event);
        },
      });
    } catch (error) {
      const code = exitCode();
      if (code !== undefined && signal.aborted && error === signal.reason) return code; // there was nothing to save yet
      throw error;
    } finally {
      progress.stop();
    }
    if (record.end === undefined) throw new Error('the trainer returned without its end event');
    const table = profile ? `\n${profileTable(profile)}` : '';
    terminal.stdout.write(
      options.json
        ? `${JSON.stringify({ ...summaryJson(record), profile })}\n`
        : `${summaryText(record)}${table}`,
    );
    return record.end.status === 'stopped' ? (exitCode() ?? 1) : 0;
  });
}
