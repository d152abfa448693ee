import { cpus } from 'node:os';

/** Milliseconds that the machine's cores have been busy since it started. */
const busy = (): number =>
  cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);

/** Above this many cores taken by others a measurement is not to be trusted. */
export const NOISY = 0.1;

/** Watches what other processes do meanwhile; the answer is how many cores they took on average. */
export function watchOthers(): () => number {
  const [began, busyBefore, own] = [performance.now(), busy(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    const others = busy() - busyBefore - (user + system) / 1000;
    return Math.max(0, others / (performance.now() - began));
  };
}
