import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice, compile, gatherRows, i32, tokenLogProbs } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { Lora } from '../../models/lora/lora.ts';
import { loraDefaults } from '../../models/lora/config.ts';
import { loadWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { Random } from '../../trainer/data/random.ts';
import { fetched, needsFetched } from '../shared.ts';

/** Log-probs of some tokens, with weights in the file's blocks or unpacked, with DoRA on all linear layers if asked. */
async function logProbs(path: string, device: Device, kept: boolean, dora = false) {
  const files = await openModelFiles(path);
  const model = createModel(files.config, {
    maxPositions: 16,
    ...(kept ? { blocksOf: (name) => files.blocksOf?.(name) } : {}),
  });
  await loadWeights(model, files, device);
  await files.close();
  const lora = new Lora(model, { ...loraDefaults, useDora: true, targetModules: 'all-linear' });
  const random = new Random(1);
  if (dora) await lora.start(device, () => random.uniform());
  for (const { b } of dora ? lora.layers : [])
    device.write(
      b,
      Float32Array.from(await device.read(b), () => random.uniform() / 10),
    );
  const tokens = Int32Array.from({ length: 12 }, () => random.below(Math.min(30, model.vocabSize)));
  const program = compile(
    'logps',
    { ...modelInputTypes(12, 1), rows: i32([11]), labels: i32([11]) },
    (given) => {
      const hidden = (dora ? lora.model : model).hidden(given);
      return {
        outputs: { logps: tokenLogProbs(gatherRows(hidden, given.rows), model.head.tensor, given.labels) },
      };
    },
  );
  const executable = await device.load(program);
  const rows = Int32Array.from({ length: 11 }, (_, i) => i);
  const { logps } = await executable.run({
    ...{ tokens, positions: tokens.map((_, i) => i), segments: [0, 12, 0, 12, 0, 0] },
    ...{ rows, labels: tokens.slice(1) },
  });
  executable.dispose();
  const blocks = [...new Set(model.parameters.map((p) => p.variable.type.blocks ?? 'f32'))].toSorted();
  const bytes = device.memory.variables;
  for (const { variable } of [...model.parameters, ...lora.parameters]) device.free(variable);
  return { logps, blocks, bytes };
}

const devices = [new ReferenceDevice(), await WasmDevice.create({ threads: 2 })];
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

describe('weights that stay in the blocks of a .gguf file', () => {
  for (const device of devices)
    it.each([
      ['llama', ['Q4_0', 'Q4_1', 'Q4_K', 'Q8_0', 'f32']],
      ['gptneox', ['Q4_0', 'Q4_1', 'Q8_0', 'f32']],
      // Conv1D's weights lie the other way round, and are unpacked.
      ['gpt2', ['Q8_0', 'f32']],
    ])(`%s: give the bits of the unpacked ones on ${device.kind}`, async (architecture, formats) => {
      const path = fileURLToPath(new URL(`../fixtures/gguf/${architecture}-blocks.gguf`, import.meta.url));
      for (const dora of [false, true]) {
        const [kept, unpacked] = [
          await logProbs(path, device, true, dora),
          await logProbs(path, device, false, dora),
        ];
        expect(kept.blocks).toEqual(formats);
        expect(unpacked.blocks).toEqual(['f32']);
        expect(kept.logps?.every((x) => Number.isFinite(x) && x < 0)).toBe(true);
        expect(kept.logps).toEqual(unpacked.logps);
      }
    });

  const smollm2 = fetched('SmolLM2-135M-Instruct.Q4_1.gguf') ?? '';
  it.skipIf(smollm2 === '')(
    `SmolLM2: the bits of the unpacked ones in a fifth of the memory ${needsFetched}`,
    async () => {
      const device = await WasmDevice.create({ threads: 2 });
      const [kept, unpacked] = [
        await logProbs(smollm2, device, true),
        await logProbs(smollm2, device, false),
      ];
      expect(kept.logps).toEqual(unpacked.logps);
      expect(kept.blocks).toEqual(['Q4_1', 'Q8_0', 'f32']);
      expect(kept.bytes).toBeLessThan(0.2 * unpacked.bytes);
      await device.dispose();
    },
  );
});
