import type { WrittenDtype } from './safetensorsWriter.ts';
import type { SavedModel } from './savedFiles.ts';

export type { SavedModel } from './savedFiles.ts';

/** Saves a model as a Hugging Face folder, in Node, Deno or Bun. */
export async function saveModelFiles(
  folder: string,
  model: SavedModel,
  options: { dtype?: WrittenDtype } = {},
): Promise<void> {
  const node = await import('./save.node.ts');
  return node.saveModelFiles(folder, model, options);
}
