import type { KernelTime, ProfileSummary } from '../engine/index.ts';
import { formatTable } from './table.ts';

/** Kernels of less than this part of a step, waiting after them included, are told of together. */
const LEAST = 1000;

/** Where a step's time goes, for people: a line for each kernel of an op, what is lost outside them, and the sum. */
export function profileTable(profile: ProfileSummary, step = 'a step'): string {
  const { kernels, total, waiting, messages, script, steps, threads } = profile;
  const share = (ms: number): string => `${((100 * ms) / total).toFixed(1)} %`;
  const perSecond = (amount: number, ms: number): string =>
    amount > 0 ? (amount / ms / 1e6).toFixed(1) : '';
  const time = (ms: number): string[] => [ms.toFixed(3), share(ms)];
  const flops = kernels.reduce((sum, k) => sum + k.flops, 0);
  const lost = waiting + messages + script;
  const shown = kernels.filter((k) => k.ms + k.waiting >= total / LEAST);
  const rest = kernels.filter((k) => !shown.includes(k));
  const sum = (of: (k: KernelTime) => number): number => rest.reduce((all, k) => all + of(k), 0);
  const rows = [
    ['op: kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'imbalance', 'waiting ms'],
    ...shown.map((k) => [
      k.op === k.kernel ? k.op : `${k.op}: ${k.kernel}`,
      k.calls.toFixed(0),
      ...time(k.ms),
      perSecond(k.flops, k.ms),
      perSecond(k.bytes, k.ms),
      threads > 1 ? `${(100 * (k.slowest / k.ms - 1)).toFixed(0)} %` : '',
      k.waiting.toFixed(3),
    ]),
    ...(rest.length > 0
      ? [
          [
            ...[`${rest.length} others`, sum((k) => k.calls).toFixed(0), ...time(sum((k) => k.ms))],
            ...['', '', '', sum((k) => k.waiting).toFixed(3)],
          ],
        ]
      : []),
    ['waiting for other threads', '', ...time(waiting)],
    ['messages to threads', '', ...time(messages)],
    ['JavaScript around runs', '', ...time(script)],
    [step, '', ...time(total), perSecond(flops, total)],
  ];
  const hint =
    `lost outside kernels: ${share(lost)} of ${step} (waiting ${share(waiting)}, messages ${share(messages)}, ` +
    `JavaScript ${share(script)}); means of ${steps} on ${threads} thread${threads === 1 ? '' : 's'}`;
  return `${formatTable(rows, { right: [1, 2, 3, 4, 5, 6, 7] })}${hint}\n`;
}
