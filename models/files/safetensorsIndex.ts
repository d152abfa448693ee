import { PrefgradError } from '../../engine/errors.ts';
import { isJsonObject, readJsonObject } from './json.ts';
import { missingTensor, openSafetensors, type TensorFile } from './safetensors.ts';
import type { FileSource } from './source.ts';

/**
 * Opens a model that is sharded over several safetensors files.
 * `index` is model.safetensors.index.json, whose `weight_map` gives each tensor's file;
 * `openShard` opens a file beside it by its name.
 */
export async function openSharded(
  index: FileSource,
  openShard: (file: string) => Promise<FileSource>,
): Promise<TensorFile> {
  const { weight_map: weightMap } = await readJsonObject(index);
  if (!isJsonObject(weightMap)) {
    throw new PrefgradError(`${index.name}: expected an object under weight_map; download the file again`);
  }
  const shards = new Map<string, TensorFile>();
  const places = new Map<string, TensorFile>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const [tensor, file] of Object.entries(weightMap)) {
      if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file)) {
        throw new PrefgradError(
          `${index.name}: weight_map.${tensor} is ${JSON.stringify(file)}, expected the name of a .safetensors file beside it`,
        );
      }
      let shard = shards.get(file);
      if (shard === undefined) {
        shard = await openSafetensors(await openShard(file));
        shards.set(file, shard);
      }
      if (!shard.has(tensor)) throw missingTensor(shard.name, tensor, shard.tensorNames());
      places.set(tensor, shard);
    }
  } catch (error) {
    await close();
    throw error;
  }

  const place = (tensor: string): TensorFile => {
    const shard = places.get(tensor);
    if (shard === undefined) throw missingTensor(index.name, tensor, places.keys());
    return shard;
  };
  return {
    name: index.name,
    tensorNames: () => [...places.keys()],
    has: (tensor) => places.has(tensor),
    shape: (tensor) => place(tensor).shape(tensor),
    dtype: (tensor) => place(tensor).dtype(tensor),
    read: async (tensor) => place(tensor).read(tensor),
    readFloat64: async (tensor) => place(tensor).readFloat64(tensor),
    close,
  };
}
