import type { JsonObject } from '../files/json.ts';
import type { Lora } from './lora.ts';
import { explicitTargets } from './targets.ts';

/** PEFT's adapter_config.json of adapters; `base` is the path or hub id of their model. */
export function adapterConfigJson({ base: model, config, layers }: Lora, base: string): JsonObject {
  const { layersPattern } = config;
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    inference_mode: true,
    r: config.r,
    lora_alpha: config.loraAlpha,
    lora_dropout: config.loraDropout,
    target_modules: explicitTargets(model, config),
    exclude_modules: config.excludeModules,
    layers_to_transform: config.layersToTransform,
    layers_pattern: layersPattern.length === 0 ? null : layersPattern,
    rank_pattern: config.rankPattern,
    alpha_pattern: config.alphaPattern,
    use_rslora: config.useRslora,
    use_dora: config.useDora,
    fan_in_fan_out: layers.some((layer) => layer.base.fanInFanOut),
    bias: 'none',
    init_lora_weights: true,
    modules_to_save: null,
  };
}
