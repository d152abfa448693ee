import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { MetricsLine } from '../metrics.ts';
import type { MetricsWriter } from '../metrics.node.ts';
import { attemptToWrite } from '../metrics.node.ts';
import { eventRecord, readRecords } from './records.ts';

/** TensorBoard looks for `tfevents` in a name; the end tells ours from other programs' files. */
const ours = /^events\.out\.tfevents\..*\.prefgrad$/;

/**
 * Opens an event file in `folder` that says what metrics.jsonl says, under the tags that TRL's runs have in TensorBoard:
 * `train/rewards/chosen`, `eval/loss`. As `openMetrics`, a fresh run replaces an earlier one's, and a resumed one goes
 * on in it after the last step that it keeps.
 */
export async function openTensorBoard(
  folder: string,
  options: { resumeAfter?: number } = {},
): Promise<MetricsWriter> {
  await attemptToWrite(folder, () => mkdir(folder, { recursive: true }));
  const earlier = (await readdir(folder)).filter((name) => ours.test(name)).toSorted();
  const last = earlier.at(-1);
  const resumed = options.resumeAfter !== undefined && last !== undefined;
  const seconds = Math.floor(Date.now() / 1000);
  const fresh = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.prefgrad`;
  const path = join(folder, resumed ? last : fresh);
  const handle = await attemptToWrite(path, async () => {
    if (!resumed) for (const name of earlier) await rm(join(folder, name));
    const file = await open(path, 'a+');
    let kept = 0;
    for (const { end, step } of readRecords(await file.readFile())) {
      if (step > (options.resumeAfter ?? 0)) break;
      kept = end;
    }
    await file.truncate(kept);
    if (kept === 0)
      await file.appendFile(eventRecord({ wallTime: Date.now() / 1000, fileVersion: 'brain.Event:2' }));
    return file;
  });
  const write = (line: MetricsLine) =>
    handle.appendFile(
      eventRecord({ wallTime: Date.now() / 1000, step: line.step, scalars: scalarsOf(line) }),
    );
  return {
    path,
    append: (line) => attemptToWrite(path, () => write(line)),
    sync: () => attemptToWrite(path, () => handle.sync()),
    close: () => attemptToWrite(path, () => handle.close()),
  };
}

/** As Transformers names them: `eval_` becomes `eval/`, all else is `train/`. What was not finite is NaN. */
function scalarsOf(line: MetricsLine): ReadonlyMap<string, number> {
  const scalars = new Map<string, number>();
  for (const [name, value] of Object.entries(line))
    if (name !== 'step')
      scalars.set(name.startsWith('eval_') ? `eval/${name.slice(5)}` : `train/${name}`, value ?? NaN);
  return scalars;
}
