import type { TrainConfig } from '../../trainer/config.ts';
import type { Evaluation, TrainEvent } from '../../trainer/events.ts';
import { formatNumber, formatPercent } from '../../trainer/report/numbers.ts';
import { breakable } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { evaluationJson } from '../summary.ts';
import { formatTable } from '../table.ts';
import type { Context, DeviceOptions } from './context.ts';

export interface EvaluateOptions extends DeviceOptions {
  model: string;
  data: string;
  /** A model to compare with: adds `rewards/…`, as training has them. */
  reference?: string;
  /** A training configuration's path, for its rewards, beta and max_length. */
  config?: string;
  maxLength?: number;
  json: boolean;
}

export interface EvaluateWork {
  /** Options given on the command line win over the configuration's. */
  evaluate(
    options: EvaluateOptions,
    run: { config: TrainConfig | undefined; onEvent: (event: TrainEvent) => void },
  ): Promise<Evaluation>;
}

export async function runEvaluate(
  options: EvaluateOptions,
  context: Context,
  work: EvaluateWork,
): Promise<number> {
  const { loadConfig } = await import('../../trainer/config.node.ts');
  const config = options.config === undefined ? undefined : loadConfig(options.config);
  const progress = new Progress(context.terminal, context.now);
  return breakable(
    context.signals,
    () => progress.stop(),
    async () => {
      try {
        const evaluation = await work.evaluate(options, {
          config,
          onEvent: (event) => progress.onEvent(event),
        });
        progress.stop();
        const flat = evaluationJson(evaluation) ?? {};
        context.terminal.stdout.write(options.json ? `${JSON.stringify(flat)}\n` : evaluationTable(flat));
        return 0;
      } finally {
        progress.stop();
      }
    },
  );
}

function evaluationTable(flat: Readonly<Record<string, number | null>>): string {
  const percent = (name: string) => name === 'accuracy' || name.endsWith('/accuracies');
  const rows = Object.entries(flat).map(([name, value]) => [
    name,
    percent(name) ? formatPercent(value) : formatNumber(value),
  ]);
  return formatTable(rows, { right: [1] });
}
