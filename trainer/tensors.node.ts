import type { TensorFile } from '../models/files/safetensors.ts';
import { openSafetensors } from '../models/files/safetensors.ts';
import { openFileSource } from '../models/files/source.node.ts';

/** All tensors of a safetensors file by name. Errors name the file, and a tensor that it does not have. */
export async function readTensors(path: string): Promise<(name: string) => Promise<Float32Array>> {
  const file = await openTensorFile(path);
  const tensors = new Map<string, Float32Array>();
  for (const name of file.tensorNames()) tensors.set(name, await file.read(name));
  await file.close();
  return (name) => {
    const numbers = tensors.get(name);
    return numbers ? Promise.resolve(numbers) : file.read(name);
  };
}

export const openTensorFile = async (path: string): Promise<TensorFile> =>
  openSafetensors(await openFileSource(path));
