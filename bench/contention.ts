import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';

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

/** Seconds of each run, and the cores that others took meanwhile. */
export interface Watched {
  readonly seconds: readonly number[];
  readonly others: number;
}

/** Watches others while this process measures. */
export async function watched(measure: () => Promise<number[]>): Promise<Watched> {
  const others = watchOthers();
  return { seconds: await measure(), others: others() };
}

const IDLE = 300;

/** As `watched` where processes that this one starts measure: others are watched before and after. */
export async function watchedAround(measure: () => Promise<number[]>): Promise<Watched> {
  const idle = async (): Promise<number> => {
    const others = watchOthers();
    await setTimeout(IDLE);
    return others();
  };
  const before = await idle();
  const seconds = await measure();
  return { seconds, others: Math.max(before, await idle()) };
}
