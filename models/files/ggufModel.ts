import { PrefgradError } from '../../engine/errors.ts';
import { isBlockFormat, type BlockFormat } from '../../engine/index.ts';
import { Tokenizer } from '../tokenizer.ts';
import { openGguf, type GgufFile } from './gguf.ts';
import { ggufArchitecture, ggufConfig } from './ggufConfig.ts';
import { layoutShape, placeGgufTensor, undoLayout, type GgufTensorPlace } from './ggufTensors.ts';
import { ggufTokenizer } from './ggufTokenizer.ts';
import type { JsonObject } from './json.ts';
import type { ModelFiles } from './modelFiles.ts';
import { missingTensor } from './safetensors.ts';
import type { FileSource } from './source.ts';

/**
 * Opens a GGUF file as the model it was made from: configuration, tensors and tokenizer as in Hugging
 * Face's folder, layouts undone and blocks dequantized. Architectures: llama (Mistral too), qwen2,
 * qwen3, gpt2, gptneox.
 */
export async function openGgufModel(source: FileSource): Promise<ModelFiles> {
  const file = await openGguf(source);
  try {
    return await describe(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function describe(file: GgufFile): Promise<ModelFiles> {
  const { name, metadata } = file;
  const architecture = ggufArchitecture(file);
  const tied = await isTied(file, architecture === 'gpt2');
  const config = await ggufConfig(file, tied);
  const heads = metadata.count(`${architecture}.attention.head_count`);
  const keyValueHeads = metadata.optionalCount(`${architecture}.attention.head_count_kv`) ?? heads;

  const places = new Map<string, GgufTensorPlace & { stored: string; storedShape: readonly number[] }>();
  for (const [stored, { shape }] of file.tensors) {
    if (tied && stored === 'output.weight') continue;
    const place = placeGgufTensor(name, architecture, stored, { heads, keyValueHeads });
    if (place === undefined) continue;
    checkLayoutFits(name, stored, shape, place);
    places.set(place.name, { ...place, stored, storedShape: shape });
  }
  const place = (tensor: string) => {
    const found = places.get(tensor);
    if (found === undefined) throw missingTensor(name, tensor, places.keys());
    return found;
  };

  /** What can stay in its blocks: rows of a matrix, in another order perhaps, but not its columns. */
  const blocksOf = (tensor: string): BlockFormat | undefined => {
    const { stored, storedShape, layout } = place(tensor);
    const type = file.tensors.get(stored)?.type ?? '';
    return storedShape.length === 2 && layout.kind !== 'transposed' && isBlockFormat(type) ? type : undefined;
  };

  const tokenizer = ggufTokenizer(name, metadata);
  return {
    name,
    config,
    generationConfig: generationConfig(file),
    tokenizer: tokenizer === undefined ? undefined : new Tokenizer({ ...tokenizer, name }),
    tensorNames: () => [...places.keys()],
    shape: (tensor) => layoutShape(place(tensor).layout, place(tensor).storedShape),
    async read(tensor) {
      const { stored, storedShape, layout } = place(tensor);
      return undoLayout(layout, storedShape, await file.read(stored));
    },
    blocksOf,
    async readBlocks(tensor) {
      const { stored, storedShape, layout } = place(tensor);
      return undoLayout(layout, storedShape, await file.readStored(stored));
    },
    close: () => file.close(),
  };
}

/** No output tensor means the embedding is the head. GPT-2's converter wrote the same tensor twice. */
async function isTied(file: GgufFile, mayRepeat: boolean): Promise<boolean> {
  const output = file.tensors.get('output.weight');
  if (output === undefined) return true;
  const embedding = file.tensors.get('token_embd.weight');
  if (!mayRepeat || embedding?.type !== output.type || embedding.bytes !== output.bytes) return false;
  const [head, rows] = [await file.read('output.weight'), await file.read('token_embd.weight')];
  return head.every((value, i) => Object.is(value, rows[i]));
}

function checkLayoutFits(
  file: string,
  tensor: string,
  shape: readonly number[],
  { layout }: GgufTensorPlace,
): void {
  const fits =
    layout.kind === 'same' ||
    (layout.kind === 'transposed' && shape.length === 2) ||
    (layout.kind === 'interleaved' &&
      shape.length > 0 &&
      shape[0] > 0 &&
      shape[0] % (2 * layout.heads) === 0) ||
    (layout.kind === 'fused' && shape.length > 0 && shape[0] % (3 * layout.heads) === 0);
  if (!fits) {
    throw new PrefgradError(
      `${file}: tensor ${tensor} has shape [${shape.join(', ')}], which does not fit the model's heads; is the file whole?`,
    );
  }
}

/** Generation stops at the end of the text and, in chat models that have one, of the turn. */
function generationConfig({ metadata }: GgufFile): JsonObject {
  const id = (role: string) => metadata.optionalNumber(`tokenizer.ggml.${role}_token_id`);
  const ends = new Set([id('eos'), id('eot'), id('eom')].filter((end) => end !== undefined));
  return Object.fromEntries(
    Object.entries({
      bos_token_id: id('bos'),
      eos_token_id: ends.size > 1 ? [...ends] : [...ends][0],
      pad_token_id: id('padding'),
    }).filter(([, value]) => value !== undefined),
  );
}
