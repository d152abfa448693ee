import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { WasmDevice } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { loraDefaults } from '../../models/lora/config.ts';
import { Lora } from '../../models/lora/lora.ts';
import { loadWeights } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { Random } from '../../trainer/data/random.ts';
import { dpo } from '../../trainer/losses/index.ts';
import { fetched, needsFetched } from '../shared.ts';
import { tokenPairs } from './tinyModel.ts';
import { bitsOf, numbersOf, openLoop } from './tinyRun.ts';

const device = await WasmDevice.create({ threads: 2 });
afterAll(() => device.dispose());

/** Adapters on all linear layers of a .gguf file's model, its matrices in their blocks or unpacked. */
async function open(path: string, kept: boolean): Promise<Lora> {
  const files = await openModelFiles(path);
  const blocksOf = (name: string) => (kept ? files.blocksOf?.(name) : undefined);
  const model = createModel(files.config, { blocksOf });
  await loadWeights(model, files, device);
  await files.close();
  const lora = new Lora(model, { ...loraDefaults, r: 16, targetModules: 'all-linear' });
  const random = new Random(3);
  await lora.start(device, () => random.uniform());
  return lora;
}

const free = ({ base, parameters }: Lora): void => {
  for (const { variable } of [...base.parameters, ...parameters]) device.free(variable);
};

describe('adapters on weights in blocks', () => {
  it('are trained to the bits that they get on the unpacked weights', async () => {
    const rows = tokenPairs(6, 2, 40);
    const run = async (kept: boolean) => {
      const path = fileURLToPath(new URL('../fixtures/gguf/llama-blocks.gguf', import.meta.url));
      const lora = await open(path, kept);
      const keys = { optim: 'adamw', learning_rate: 0.01 };
      const loop = await openLoop({ model: lora.model, device, loss: dpo(), rows, keys });
      const losses: number[] = [];
      for await (const { metrics } of loop.steps()) losses.push(metrics['loss'] ?? NaN);
      const { parameters: bytes } = loop.memory;
      loop.dispose();
      const trained = bitsOf(await numbersOf(device, lora.parameters));
      free(lora);
      return { losses, trained, bytes };
    };
    const [kept, unpacked] = [await run(true), await run(false)];
    expect(kept.losses.every(Number.isFinite)).toBe(true);
    expect(kept.losses).toEqual(unpacked.losses);
    expect(kept.trained).toBe(unpacked.trained);
    expect(kept.bytes).toBeLessThan(unpacked.bytes / 2);
  });

  const smollm2 = fetched('SmolLM2-135M-Instruct.Q4_1.gguf') ?? '';
  it.skipIf(smollm2 === '')(
    `of SmolLM2 take 300 MiB with two pairs of 256 tokens ${needsFetched}`,
    async () => {
      const lora = await open(smollm2, true);
      const long = tokenPairs(2, 1, 49152).map((row) => ({
        ...row,
        promptIds: Array.from({ length: 100 }, (_, i) => i),
        chosen: { ...row.chosen, ids: Array.from({ length: 156 }, (_, i) => i) },
        rejected: { ...row.rejected, ids: Array.from({ length: 156 }, (_, i) => i) },
      }));
      const loop = await openLoop({
        model: lora.model,
        device,
        loss: dpo(),
        rows: long,
        keys: { optim: 'adamw' },
      });
      const { total, arena, gradients, ...choices } = loop.memory;
      loop.dispose();
      free(lora);
      expect(gradients).toBeLessThan(20 << 20);
      expect(arena).toBeLessThan(150 << 20);
      expect(total).toBeLessThan(300 << 20);
      expect(choices).toMatchObject({ logitsKept: false, blocksRecomputed: true });
    },
  );
});
