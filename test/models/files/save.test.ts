import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openModelFiles } from '../../../models/files/open.ts';
import type { ModelFiles } from '../../../models/files/modelFiles.ts';
import { saveModelFiles } from '../../../models/files/save.node.ts';
import type { SavedModel } from '../../../models/files/savedFiles.ts';
import { needsShared, shared } from '../../shared.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'prefgrad-save-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const toSave = (model: ModelFiles): SavedModel => ({
  config: model.config,
  generationConfig: model.generationConfig,
  tokenizer: model.tokenizer,
  tensors: model
    .tensorNames()
    .map((name) => ({ name, shape: model.shape(name), data: () => model.read(name) })),
});

const tiny = (first: number): SavedModel => ({
  config: { model_type: 'llama', tie_word_embeddings: true, dtype: 'float32' },
  tensors: [
    { name: 'model.norm.weight', shape: [2], data: async () => Float32Array.of(first, 2) },
    { name: 'lm_head.weight', shape: [2], data: async () => Float32Array.of(3, 4) },
  ],
});

describe('saving a model', () => {
  for (const name of ['gpt2', 'llama', 'qwen2']) {
    const folder = shared(`fixtures/models/${name}`);
    it.skipIf(folder === undefined)(`gives back the ${name} fixture ${needsShared}`, async () => {
      const model = await openModelFiles(folder ?? '');
      await saveModelFiles(join(root, 'saved'), toSave(model));
      const again = await openModelFiles(join(root, 'saved'));
      expect(again.tensorNames()).toEqual(model.tensorNames());
      for (const tensor of model.tensorNames()) {
        expect(again.shape(tensor)).toEqual(model.shape(tensor));
        expect(await again.read(tensor)).toEqual(await model.read(tensor));
      }
      const { dtype, ...config } = model.config;
      expect(again.config).toEqual({ ...config, torch_dtype: dtype });
      expect(again.generationConfig).toEqual(model.generationConfig);
      expect(again.tokenizer?.json).toEqual(model.tokenizer?.json);
      expect(again.tokenizer?.config).toEqual(model.tokenizer?.config);
      await model.close();
      await again.close();
      expect(await readdir(root)).toEqual(['saved']);
    });
  }

  it('leaves out a tied head, and names the class and the dtype', async () => {
    await saveModelFiles(join(root, 'a'), tiny(1), { dtype: 'BF16' });
    const saved = await openModelFiles(join(root, 'a'));
    expect(saved.tensorNames()).toEqual(['model.norm.weight']);
    expect(saved.config).toEqual({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      tie_word_embeddings: true,
      torch_dtype: 'bfloat16',
    });
    await saved.close();
    const untied = { ...tiny(1), config: { model_type: 'llama', tie_word_embeddings: false } };
    await saveModelFiles(join(root, 'b'), untied);
    const both = await openModelFiles(join(root, 'b'));
    expect(both.tensorNames()).toEqual(['model.norm.weight', 'lm_head.weight']);
    await both.close();
  });

  it('into a folder that is there replaces the model and leaves the rest', async () => {
    const folder = join(root, 'run');
    await saveModelFiles(folder, tiny(1));
    await writeFile(join(folder, 'metrics.jsonl'), '{}\n');
    await saveModelFiles(folder, tiny(5));
    const saved = await openModelFiles(folder);
    expect([...(await saved.read('model.norm.weight'))]).toEqual([5, 2]);
    await saved.close();
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'metrics.jsonl', 'model.safetensors']);
    expect(await readdir(root)).toEqual(['run']);
  });

  it('that fails half way leaves what was there', async () => {
    const folder = join(root, 'run');
    await saveModelFiles(folder, tiny(1));
    const before = await readFile(join(folder, 'model.safetensors'));
    const failing: SavedModel = {
      ...tiny(9),
      tensors: [
        ...tiny(9).tensors,
        { name: 'z', shape: [3], data: () => Promise.reject(new Error('device lost')) },
      ],
    };
    await expect(saveModelFiles(folder, failing)).rejects.toThrow('device lost');
    await expect(saveModelFiles(join(root, 'new'), failing)).rejects.toThrow('device lost');
    expect(await readFile(join(folder, 'model.safetensors'))).toEqual(before);
    expect(await readdir(root)).toEqual(['run']);
  });
});
