import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { SignalSource } from '../../cli/interrupt.ts';
import { runCli, type Work } from '../../cli/program.ts';
import { Screen } from './screen.ts';

// Command lines with work that only pretends.

export const folder = mkdtempSync(join(tmpdir(), 'prefgrad-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
export function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}
export const config = file(
  'config.yaml',
  'model: m\ndata: pairs.jsonl\nmethod: hpo\nlearning_rate: 5e-5\nhpo: {gamma: 0.5}\nrewards: [{name: length}]\n',
);

export class Signals implements SignalSource {
  exits: number[] = [];
  readonly #listeners = new Set<{ signal: string; listener: () => void }>();
  on(signal: string, listener: () => void): void {
    this.#listeners.add({ signal, listener });
  }
  off(signal: string, listener: () => void): void {
    for (const one of this.#listeners)
      if (one.signal === signal && one.listener === listener) this.#listeners.delete(one);
  }
  exit(code: number): void {
    this.exits.push(code);
  }
  send(signal: string): void {
    for (const one of this.#listeners) if (one.signal === signal) one.listener();
  }
  get count(): number {
    return this.#listeners.size;
  }
}

const absent = () => Promise.reject(new Error('this test does not expect that call'));
const none: Work = {
  ...{ train: absent, generate: absent, score: absent, evaluate: absent, merge: absent, devices: absent },
  ...{ rewards: absent, sweep: absent },
};

export async function cli(argv: string[], work: Partial<Work> = {}, signals = new Signals()) {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const context = { terminal: { stdout, stderr, live: false }, signals, now: () => 0 };
  const code = await runCli(argv, context, { ...none, ...work });
  expect(signals.count).toBe(0);
  return { code, out: stdout.raw, err: stderr.raw.replaceAll(folder, 'FOLDER') };
}
