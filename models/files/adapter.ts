import { PrefgradError } from '../../engine/errors.ts';
import type { LoraConfig } from '../lora/config.ts';
import { parseAdapterConfig } from '../lora/config.ts';
import type { FileFolder } from './folder.ts';
import { readJsonObject, type JsonObject } from './json.ts';
import { openSafetensors, type TensorFile } from './safetensors.ts';

/** PEFT's folder of a trained adapter. */
export interface AdapterFiles {
  readonly name: string;
  /** adapter_config.json as it came, and what it says. */
  readonly json: JsonObject;
  readonly config: LoraConfig;
  /** `base_model_name_or_path`. */
  readonly base: string | undefined;
  /** adapter_model.safetensors. */
  readonly tensors: TensorFile;
  close(): Promise<void>;
}

/**
 * Opens a folder in PEFT's layout: adapter_config.json and adapter_model.safetensors; undefined where it has no
 * adapter_config.json. Errors: an adapter that is not LoRA or asks for what is not built, weights that are missing.
 */
export async function openAdapterFolder(folder: FileFolder): Promise<AdapterFiles | undefined> {
  const source = await folder.open('adapter_config.json');
  if (source === undefined) return undefined;
  const json = await readJsonObject(source).finally(() => source.close());
  const config = parseAdapterConfig(json, source.name);
  const weights = await folder.open('adapter_model.safetensors');
  if (weights === undefined)
    throw new PrefgradError(
      `${folder.name}: lacks adapter_model.safetensors; weights in other formats (adapter_model.bin) have to be saved as safetensors first`,
    );
  const tensors = await openSafetensors(weights);
  const base: unknown = json['base_model_name_or_path'];
  return {
    name: folder.name,
    json,
    config,
    base: typeof base === 'string' && base !== '' ? base : undefined,
    tensors,
    close: () => tensors.close(),
  };
}
