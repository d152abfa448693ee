import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dpo } from '../../trainer/losses/dpo.ts';
import { WebGpuDevice } from '../../engine/index.ts';
import { noWebGpu, watchedGpu } from '../engine/webgpu.ts';
import { fresh, runTraining, withoutTimes, writeRows } from './runs.ts';
import { textPairs, tinyConfig, tinyModel, tokenPairs, writeTinyModel } from './tinyModel.ts';
import { openLoop, runToEnd } from './tinyRun.ts';

afterEach(() => vi.unstubAllGlobals());

describe.skipIf(noWebGpu !== '')(`training on WebGPU ${noWebGpu}`, () => {
  it('gives the same bits again and again, worked ahead or step by step', async () => {
    const device = await WebGpuDevice.create();
    const losses: string[] = [];
    // Memory differs: a freed model's is kept for the next.
    const numbers = (metrics: unknown[]) => JSON.stringify(metrics).replace(/"memory\/bytes":\d+,?/g, '');
    for (let run = 0; run < 10; run++) {
      const model = tinyModel(device);
      const results = await runToEnd({ model, device, loss: dpo(), rows: tokenPairs(7) });
      losses.push(numbers(results.map((r) => r.metrics)));
      for (const { variable } of model.parameters) device.free(variable);
    }
    for (const other of losses.slice(1)) expect(other).toEqual(losses[0]);
    const loop = await openLoop({ model: tinyModel(device), device, loss: dpo(), rows: tokenPairs(7) });
    const ahead: unknown[] = [];
    for await (const { metrics } of loop.steps({ settleAfter: () => false })) ahead.push(metrics);
    expect(numbers(ahead)).toBe(losses[0]);
    await device.dispose();
  }, 200_000);

  it('that loses its device ends with a message, and goes on from the last checkpoint', async () => {
    const { gpu, devices } = await watchedGpu();
    vi.stubGlobal('navigator', { gpu });
    const model = await writeTinyModel(fresh('model'), tinyConfig());
    const keys = {
      ...{ model, data: writeRows(textPairs(7)), method: 'dpo', device: 'webgpu', max_steps: 9 },
      ...{ logging_steps: 1, save_strategy: 'steps', save_steps: 4, per_device_train_batch_size: 2 },
      ...{ learning_rate: 0.003, max_length: 60 },
    };
    const whole = await runTraining(keys);
    const outputDir = fresh();
    const lose = runTraining(
      { ...keys, output_dir: outputDir },
      { onEvent: (event) => event.type === 'step' && event.step === 6 && devices.at(-1)?.destroy() },
    );
    await expect(lose).rejects.toThrow(/the GPU device was lost .*resume_from_checkpoint=true/s);
    expect(existsSync(join(outputDir, 'checkpoint-4'))).toBe(true);
    const resumed = await runTraining({ ...keys, output_dir: outputDir, resume_from_checkpoint: true });
    const lines = (run: { metrics: typeof whole.metrics }) =>
      withoutTimes(run.metrics).map(({ 'memory/bytes': _, ...line }) => line);
    expect(lines(resumed)).toEqual(lines(whole));
  }, 300_000);
});
