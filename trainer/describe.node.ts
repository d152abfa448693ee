import { arch, cpus, platform, totalmem } from 'node:os';
import { version } from '../package.json';
import type { TrainSettings } from './config.ts';

/** What is trained, in a few words: `hpo on dpo`, `hpo on ipo`, `dpo (sigmoid + sft)`, `kto`, `sft`. */
export function methodOf({ method, hpo, lossType }: TrainSettings): string {
  const losses = lossType.join(' + ');
  if (method === 'hpo') return `hpo on ${losses === 'sigmoid' ? hpo.base : losses}`;
  return method === 'dpo' || losses === 'apo_zero_unpaired' ? `${method} (${losses})` : method;
}

/** Versions and hardware, for the report. */
export function environmentOf(): Record<string, string | number> {
  const processors = cpus();
  return {
    prefgrad: version,
    runtime: runtimeName(),
    system: `${platform()} ${arch()}`,
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    'memory (GiB)': Math.round(totalmem() / 2 ** 30),
  };
}

function runtimeName(): string {
  const { deno, bun, node } = process.versions;
  if (deno !== undefined) return `Deno ${deno}`;
  return bun === undefined ? `Node ${node}` : `Bun ${bun}`;
}
