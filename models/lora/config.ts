import { PrefgradError } from '../../engine/errors.ts';
import type { JsonObject } from '../files/json.ts';
import { isJsonObject } from '../files/json.ts';

/** What low-rank adapters are made of (Hu et al., arXiv 2106.09685); names, meanings and defaults are PEFT's. */
export interface LoraConfig {
  readonly r: number;
  readonly loraAlpha: number;
  /** Probability with which an adapter's input is dropped while training. */
  readonly loraDropout: number;
  /** Scale by α / √r instead of α / r (arXiv 2312.03732). */
  readonly useRslora: boolean;
  /** Weight-decomposed adapters (arXiv 2402.09353). */
  readonly useDora: boolean;
  /** Ends of the layers' names, a regular expression of whole names, `all-linear`, or null for PEFT's choice. */
  readonly targetModules: Names | null;
  readonly excludeModules: Names | null;
  /** Numbers of the blocks that get adapters; null for all. */
  readonly layersToTransform: readonly number[] | null;
  /** Names of the lists of blocks that these numbers count. */
  readonly layersPattern: readonly string[];
  /** Other ranks and α by the end of a layer's name. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

export type Names = string | readonly string[];

export const loraDefaults: LoraConfig = {
  r: 8,
  loraAlpha: 8,
  loraDropout: 0,
  useRslora: false,
  useDora: false,
  targetModules: null,
  excludeModules: null,
  layersToTransform: null,
  layersPattern: [],
  rankPattern: {},
  alphaPattern: {},
};

/** Keys of an adapter_config.json that say nothing of what the adapters compute. */
const silent = new Set([
  ...['peft_type', 'task_type', 'base_model_name_or_path', 'revision', 'inference_mode', 'auto_mapping'],
  ...['peft_version', 'fan_in_fan_out', 'megatron_core', 'qalora_group_size', 'ensure_weight_tying'],
  ...['init_lora_weights', 'runtime_config', 'loftq_config'],
]);

/**
 * Reads an adapter_config.json. Errors: another kind of adapter than LoRA, and whatever would make it compute
 * something else than what is built here. `where` is what messages call the file.
 */
export function parseAdapterConfig(json: JsonObject, where: string): LoraConfig {
  const bad = (key: string, expected: string) =>
    new PrefgradError(`${where}: ${key} is ${JSON.stringify(json[key])}, expected ${expected}`);
  const read = new Set(silent);
  const value = (key: string): unknown => {
    read.add(key);
    return json[key] ?? undefined;
  };
  const number = (key: string, fallback: number, fits: (n: number) => boolean, expected: string): number => {
    const n = value(key) ?? fallback;
    if (typeof n !== 'number' || !fits(n)) throw bad(key, expected);
    return n;
  };
  const flag = (key: string): boolean => {
    const on = value(key) ?? false;
    if (typeof on !== 'boolean') throw bad(key, 'true or false');
    return on;
  };
  const strings = (key: string): Names | null => {
    const names = value(key) ?? null;
    if (names === null || typeof names === 'string') return names;
    if (Array.isArray(names) && names.every((n) => typeof n === 'string')) return names;
    throw bad(key, 'a name or a list of names');
  };
  const pattern = (key: string): Record<string, number> => {
    const table = value(key) ?? {};
    if (!isJsonObject(table)) throw bad(key, 'numbers by names');
    return Object.fromEntries(
      Object.entries(table).map(([name, n]) => {
        if (typeof n !== 'number') throw bad(key, 'numbers by names');
        return [name, n];
      }),
    );
  };
  const blocks = (): number[] | null => {
    const given = value('layers_to_transform') ?? null;
    if (given === null) return null;
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    return list.map((n) => {
      if (typeof n !== 'number') throw bad('layers_to_transform', 'a list of numbers');
      return n;
    });
  };
  if (json['peft_type'] !== 'LORA') throw bad('peft_type', '"LORA"; other adapters are not supported');
  const init = json['init_lora_weights'] ?? true;
  if (init !== true && init !== false && init !== 'gaussian')
    throw bad('init_lora_weights', 'true, since others change the base model; convert the adapter in PEFT');
  if (![undefined, 'none'].includes(value('bias') as string | undefined)) throw bad('bias', '"none"');
  const names = strings('layers_pattern') ?? [];
  const config: LoraConfig = {
    r: number('r', loraDefaults.r, (n) => Number.isInteger(n) && n > 0, 'a whole number of at least 1'),
    loraAlpha: number('lora_alpha', loraDefaults.loraAlpha, (n) => n > 0, 'a number above 0'),
    loraDropout: number('lora_dropout', 0, (n) => n >= 0 && n < 1, 'a number from 0 to below 1'),
    useRslora: flag('use_rslora'),
    useDora: flag('use_dora'),
    targetModules: strings('target_modules'),
    excludeModules: strings('exclude_modules'),
    layersToTransform: blocks(),
    layersPattern: typeof names === 'string' ? [names] : names,
    rankPattern: pattern('rank_pattern'),
    alphaPattern: pattern('alpha_pattern'),
  };
  for (const [key, left] of Object.entries(json))
    if (!read.has(key) && !isEmpty(left))
      throw bad(key, 'nothing, since it is not supported here; merge the adapter in PEFT');
  return config;
}

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);
