import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModelBlobs, openModelFiles } from '../../../models/files/open.ts';
import { writeSafetensors, type SafetensorsEntry } from '../../../models/files/safetensorsWriter.ts';
import { memorySink } from '../../../models/files/source.ts';
import { needsShared, shared } from '../../shared.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prefgrad-folder-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const ramp = (name: string, shape: number[], first: number): SafetensorsEntry => ({
  name,
  shape,
  dtype: 'F32',
  data: async () => Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i),
});

async function safetensors(entries: SafetensorsEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  const sink = memorySink();
  await writeSafetensors(sink, entries);
  return sink.bytes();
}

describe('a folder in the layout of Hugging Face', () => {
  it('says what is missing', async () => {
    await expect(openModelFiles(folder)).rejects.toThrow(/has no config\.json/);
    await writeFile(join(folder, 'config.json'), '{"model_type": "llama", "eos_token_id": [7, 8]}');
    await expect(openModelFiles(folder)).rejects.toThrow(/neither model\.safetensors nor/);
    await writeFile(join(folder, 'config.json'), '{"model_type": ');
    await expect(openModelFiles(folder)).rejects.toThrow(/config\.json: is not valid JSON/);
  });

  it('reads shards through their index, and names a shard or tensor that is missing', async () => {
    await writeFile(join(folder, 'config.json'), '{"model_type": "llama", "eos_token_id": [7, 8]}');
    await writeFile(join(folder, 'model-1.safetensors'), await safetensors([ramp('a', [2, 3], 1)]));
    const index = (map: Record<string, string>) =>
      writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));

    await index({ a: 'model-1.safetensors', b: 'model-2.safetensors' });
    await expect(openModelFiles(folder)).rejects.toThrow(/lacks model-2\.safetensors/);
    await writeFile(join(folder, 'model-2.safetensors'), await safetensors([ramp('b', [2], 9)]));
    const model = await openModelFiles(folder);
    expect(model.tensorNames()).toEqual(['a', 'b']);
    expect(model.shape('a')).toEqual([2, 3]);
    expect([...(await model.read('a'))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...(await model.read('b'))]).toEqual([9, 10]);
    expect(() => model.shape('c')).toThrow(/has no tensor c/);
    expect(model.tokenizer).toBeUndefined();
    await model.close();

    await index({ a: 'model-2.safetensors' });
    await expect(openModelFiles(folder)).rejects.toThrow(/model-2\.safetensors: has no tensor a/);
    await index({ a: '../model-1.safetensors' });
    await expect(openModelFiles(folder)).rejects.toThrow(/expected the name of a \.safetensors file/);
  });

  it.skipIf(shared('fixtures/models/llama') === undefined)(
    `opens from Blobs as from disk ${needsShared}`,
    async () => {
      const path = shared('fixtures/models/llama') ?? '';
      const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
      const blobs = await Promise.all(
        names.map(async (name) => ({ name, blob: new Blob([await readFile(join(path, name))]) })),
      );
      const fromBlobs = await openModelBlobs('picked', blobs);
      const fromDisk = await openModelFiles(path);
      expect(fromBlobs.tensorNames()).toEqual(fromDisk.tensorNames());
      for (const tensor of fromDisk.tensorNames()) {
        expect(await fromBlobs.read(tensor)).toEqual(await fromDisk.read(tensor));
      }
      expect(fromDisk.generationConfig.eos_token_id).toBe(0);
      expect(fromBlobs.generationConfig).toEqual({});
      expect(fromBlobs.tokenizer?.encode('text<|endoftext|>')).toEqual(
        fromDisk.tokenizer?.encode('text<|endoftext|>'),
      );
      await fromDisk.close();
    },
  );
});
