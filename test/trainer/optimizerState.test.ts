import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice } from '../../engine/index.ts';
import { openSafetensors } from '../../models/files/safetensors.ts';
import { openFileSource } from '../../models/files/source.node.ts';
import { dpo } from '../../trainer/losses/dpo.ts';
import { noWebGpu, openWebGpu } from '../engine/webgpu.ts';
import { fresh, runTraining, writeRows } from './runs.ts';
import { textPairs, tinyModel, tokenPairs, writeTinyModel } from './tinyModel.ts';
import { bitsOf, numbersOf, openLoop } from './tinyRun.ts';

// optim_state_dtype: bfloat16.

const solo = await WasmDevice.create({ threads: 1, simd: 'plain' });
const three = await WasmDevice.create({ threads: 3, simd: 'plain' });
afterAll(() => Promise.all([solo.dispose(), three.dispose()]));

interface Trained {
  readonly losses: readonly number[];
  readonly weights: string;
  readonly optimizer: number;
}

async function trained(device: Device, keys: Readonly<Record<string, unknown>>): Promise<Trained> {
  const model = tinyModel(device);
  const loop = await openLoop({
    ...{ model, device, loss: dpo(), rows: tokenPairs(12) },
    keys: { optim: 'adamw', learning_rate: 2e-3, max_steps: 12, max_grad_norm: 1, ...keys },
  });
  const losses: number[] = [];
  for await (const { metrics } of loop.steps()) losses.push(metrics.loss);
  const weights = bitsOf(await numbersOf(device, model.parameters));
  const { optimizer } = loop.memory;
  loop.dispose();
  for (const { variable } of model.parameters) device.free(variable);
  return { losses, weights, optimizer };
}

const bf16 = { optim_state_dtype: 'bfloat16' };
const farthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i])));

describe('moments in bfloat16', () => {
  for (const optim of ['adamw', 'rmsprop'])
    it(`${optim}: the loss follows float32's in half the state, and each seed has its own bits`, async () => {
      const wide = await trained(solo, { optim });
      const half = await trained(solo, { optim, ...bf16 });
      expect(half.optimizer).toBe(wide.optimizer / 2);
      expect(Math.max(...wide.losses) - Math.min(...wide.losses)).toBeGreaterThan(1);
      expect(farthest(half.losses, wide.losses)).toBeLessThan(5e-4);
      expect(half.weights).not.toBe(wide.weights);
      expect(await trained(solo, { optim, ...bf16 })).toEqual(half);
      expect(await trained(three, { optim, ...bf16 })).toEqual(half);
      expect((await trained(solo, { optim, ...bf16, seed: 43 })).weights).not.toBe(half.weights);
      const reference = await trained(new ReferenceDevice(), { optim, ...bf16 });
      expect(farthest(reference.losses, half.losses)).toBeLessThan(2e-4);
    });

  it.skipIf(noWebGpu !== '')(`train on WebGPU as they do on WebAssembly ${noWebGpu}`, async () => {
    const device = await openWebGpu();
    const keys = { optim: 'adamw', ...bf16, max_steps: 4 };
    const got = await trained(device, keys);
    const want = await trained(solo, keys);
    expect(got.optimizer).toBe(want.optimizer);
    expect(farthest(got.losses, want.losses)).toBeLessThan(5e-4);
    await device.dispose();
  });

  it('are in checkpoints as BF16, which a run with other moments does not go on from', async () => {
    const keys = {
      ...{ model: await writeTinyModel(fresh('model')), data: writeRows(textPairs(4)), method: 'dpo' },
      ...{ max_steps: 2, save_strategy: 'steps', save_steps: 2, max_length: 60, output_dir: fresh() },
    };
    const { outputDir } = await runTraining({ ...keys, ...bf16 });
    const source = await openFileSource(`${outputDir}/checkpoint-2/training.safetensors`);
    const file = await openSafetensors(source);
    const names = file.tensorNames();
    expect(names.filter((name) => name.endsWith('.moment2')).length).toBe(names.length / 2);
    expect(new Set(names.map((name) => file.dtype(name)))).toEqual(new Set(['BF16']));
    await file.close();
    await expect(runTraining({ ...keys, max_steps: 3, resume_from_checkpoint: true })).rejects.toThrow(
      /had optim adamw with state in bfloat16, this one has adamw; resume with the same/,
    );
  });
});
