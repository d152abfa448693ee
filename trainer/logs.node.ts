import { join } from 'node:path';
import type { TrainConfig } from './config.ts';
import { openMetrics, type MetricsWriter } from './metrics.node.ts';
import { openTensorBoard } from './tensorboard/write.node.ts';

/** metrics.jsonl, and what `report_to` asks for, as one writer; its path is that of metrics.jsonl. */
export async function openLogs(
  { outputDir, reportTo }: Pick<TrainConfig, 'outputDir' | 'reportTo'>,
  options: { resumeAfter?: number } = {},
): Promise<MetricsWriter> {
  const metrics = await openMetrics(join(outputDir, 'metrics.jsonl'), options);
  if (reportTo === 'none') return metrics;
  const events = await openTensorBoard(outputDir, options);
  const both = async (work: (one: MetricsWriter) => Promise<void>): Promise<void> => {
    await work(metrics);
    await work(events);
  };
  return {
    path: metrics.path,
    append: (line) => both((one) => one.append(line)),
    sync: () => both((one) => one.sync()),
    close: () => both((one) => one.close()),
  };
}
