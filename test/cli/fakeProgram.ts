// Run as a child process by process.test.ts: the command line with work that only pretends.
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess } from '../../cli/process.ts';
import type { Work } from '../../cli/program.ts';
import { exampleStart } from '../trainer/exampleRun.ts';

const work: Work = {
  async train(config, { signal, onEvent }) {
    onEvent({ type: 'start', ...exampleStart });
    let step = 0;
    while (!signal.aborted && step < config.maxSteps) {
      await sleep(5);
      onEvent({ type: 'log', line: { step: ++step, loss: 1 } });
    }
    if (config.outputDir.endsWith('slow')) await sleep(60_000); // as if saving took that long
    onEvent({ type: 'end', status: signal.aborted ? 'stopped' : 'done', step, seconds: 1, outputs: [] });
  },
  async generate(_, { onText }) {
    for (let i = 0; i < 5000; i++) {
      onText('word '.repeat(100));
      await sleep(1);
    }
    return { completion: '', tokens: 0, finishReason: 'length' };
  },
  async score() {
    setTimeout(() => {
      throw new TypeError('thrown where nobody waits');
    }, 5);
    await sleep(60_000);
    return { rows: 0, leftOut: 0 };
  },
  async evaluate() {
    void Promise.reject(new RangeError('rejected where nobody waits'));
    await sleep(60_000);
    return { step: 0, pairs: 0, metrics: {}, auxiliary: {} };
  },
  async merge() {
    return { base: 'base' };
  },
  async rewards() {
    return {
      rows: 0,
      completions: 0,
      rewards: [],
      failures: [],
      weights: undefined,
      pull: undefined,
      warnings: [],
    };
  },
  async sweep() {
    return { status: 'done', done: 0, total: 0, results: [], outputs: [] };
  },
  async devices() {
    return [{ name: 'wasm', available: true, detail: '', auto: true }];
  },
};

await runProcess(work);
