import type { Profile } from '../engine/index.ts';

/** A profile for people: milliseconds of a run by kernel, the share of the whole, and waiting at barriers. */
export function profileTable(profile: Profile): string {
  const { total, outside } = profile.perRun;
  const kernels = profile.kernels();
  const row = (name: string, calls: string, ms: number, waiting: string, rate: string): string =>
    [
      name.padEnd(44),
      calls.padStart(6),
      ms.toFixed(3).padStart(10),
      `${((100 * ms) / total).toFixed(1)} %`.padStart(8),
      waiting.padStart(9),
      rate.padStart(7),
    ].join('');
  const waiting = kernels.reduce((sum, k) => sum + k.waiting, 0);
  return [
    `${'op: kernel'.padEnd(44)} calls${'ms'.padStart(10)}${'share'.padStart(8)}${'waiting'.padStart(9)}${'GB/s'.padStart(7)}`,
    ...kernels.map(({ op, kernel, calls, bytes, ms, waiting: after }) =>
      row(
        op === kernel ? op : `${op}: ${kernel}`,
        `${calls}`,
        ms,
        after.toFixed(3),
        (bytes / ms / 1e6).toFixed(1),
      ),
    ),
    row('waiting for other threads', '', waiting, '', ''),
    row('messages and JavaScript of a run', '', outside, '', ''),
    row('a run', '', total, '', ''),
    '',
  ].join('\n');
}
