import { PrefgradError } from '../engine/errors.ts';
import { ConfigReader } from './config.ts';
import { gpt2 } from './gpt2.ts';
import { gptNeoX } from './gptNeoX.ts';
import { llama, mistral, qwen2, qwen3 } from './llama.ts';
import type { LanguageModel, ModelOptions } from './model.ts';

/** Architectures by Transformers' model_type. A new one is a file and a line. */
const architectures: Readonly<
  Record<string, (config: ConfigReader, options: ModelOptions) => LanguageModel>
> = {
  gpt2,
  gpt_neox: gptNeoX,
  llama,
  mistral,
  qwen2,
  qwen3,
};

/**
 * A model's graph and parameters from its config.json; weights are loaded apart. Errors: an unknown model_type, a key that is missing or asks for what is not built.
 */
export function createModel(
  config: Readonly<Record<string, unknown>>,
  options: ModelOptions = {},
): LanguageModel {
  const reader = new ConfigReader(config);
  const type = reader.get('model_type');
  const build =
    typeof type === 'string' && Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (build === undefined)
    throw new PrefgradError(
      `config.json: model_type ${JSON.stringify(type)} is not supported; supported: ${Object.keys(architectures).join(', ')}`,
    );
  return build(reader, options);
}
