import { PrefgradError } from '../../engine/errors.ts';
import type { Dense } from '../dense.ts';
import type { LanguageModel } from '../model.ts';
import type { LoraConfig, Names } from './config.ts';

/** What PEFT takes where no target_modules are given. */
const chosen: Readonly<Record<string, readonly string[]>> = {
  gpt2: ['c_attn'],
  gpt_neox: ['query_key_value'],
};
const usual = ['q_proj', 'v_proj'];

/** `target_modules` as PEFT would fill it in. */
export const targetsFor = (model: LanguageModel, { targetModules }: LoraConfig): Names =>
  targetModules ?? chosen[model.type] ?? usual;

/**
 * The linear layers that get adapters, as PEFT finds them: a list names ends of names (`q_proj`, `0.mlp.c_fc`), text
 * is a regular expression of whole names, `all-linear` all but the output head. Errors: a target that is no linear
 * layer of the model, the output head among them; no layer left.
 */
export function findTargets(model: LanguageModel, config: LoraConfig): Dense[] {
  const targets = targetsFor(model, config);
  const all = typeof targets === 'string' && targets.toLowerCase() === 'all-linear';
  if (typeof targets !== 'string')
    for (const name of targets) {
      if (model.linears.some((layer) => endsWith(layer.name, name))) continue;
      const head = ['lm_head', 'embed_out', 'embed_tokens', 'embed_in', 'wte', 'wpe'].includes(name);
      throw new PrefgradError(
        `target_modules: ${name} ${head ? 'is an embedding or the output head, which get no adapters here' : `is no linear layer of a ${model.type} model`}; ` +
          `there are ${kindsOf(model).join(', ')}`,
      );
    }
  const matches = all ? () => true : matcher('target_modules', targets);
  const excluded =
    config.excludeModules === null ? () => false : matcher('exclude_modules', config.excludeModules);
  const found = model.linears.filter(
    ({ name }) => !excluded(name) && matches(name) && (typeof targets === 'string' || inBlocks(name, config)),
  );
  if (found.length === 0)
    throw new PrefgradError(
      `target_modules: ${JSON.stringify(targets)} matches no linear layer of a ${model.type} model, such as ` +
        `${model.linears[0]?.name ?? 'none'}; there are ${kindsOf(model).join(', ')}`,
    );
  return found;
}

const endsWith = (name: string, end: string): boolean => name === end || name.endsWith(`.${end}`);

/** The last parts of the linear layers' names. */
const kindsOf = ({ linears }: Pick<LanguageModel, 'linears'>): string[] => [
  ...new Set(linears.map(({ name }) => name.slice(name.lastIndexOf('.') + 1))),
];

/** `target_modules` without words that only this model explains: the shortest list that finds the same layers. */
export function explicitTargets(model: LanguageModel, config: LoraConfig): Names {
  const targets = targetsFor(model, config);
  if (typeof targets !== 'string' || targets.toLowerCase() !== 'all-linear') return targets;
  const linears = findTargets(model, config);
  const kinds = kindsOf({ linears });
  const found = findTargets(model, { ...config, targetModules: kinds });
  return found.length === linears.length ? kinds : linears.map(({ name }) => name);
}

function matcher(key: string, names: Names): (name: string) => boolean {
  if (typeof names !== 'string') return (name) => names.some((end) => endsWith(name, end));
  const pattern = regular(key, names, (source) => `^(?:${source})$`);
  return (name) => pattern.test(name);
}

/** A regular expression as Python has it. */
function regular(key: string, source: string, around: (source: string) => string): RegExp {
  try {
    return new RegExp(around(source.replaceAll('(?P<', '(?<')));
  } catch (error) {
    throw new PrefgradError(
      `${key}: ${JSON.stringify(source)} is no regular expression (${error instanceof Error ? error.message : String(error)}); ` +
        'give a list for names of layers',
    );
  }
}

/** Whether a layer lies in one of the blocks that are counted by `layers_to_transform`. */
function inBlocks(name: string, { layersToTransform: wanted, layersPattern }: LoraConfig): boolean {
  if (wanted === null || wanted.length === 0) return true;
  const patterns = layersPattern.length === 0 ? ['[^.]*'] : layersPattern;
  for (const pattern of patterns) {
    const match = regular(
      'layers_pattern',
      pattern,
      (source) => `^(?:|.*?\\.)(?:${source})\\.(\\d+)\\.`,
    ).exec(name);
    if (match) return wanted.includes(Number(match[1]));
  }
  return false;
}

/** A layer's own rank or α, or the common one. */
export function byPattern(
  key: string,
  table: Readonly<Record<string, number>>,
  name: string,
  common: number,
): number {
  const found = Object.entries(table).find(([end]) =>
    regular(key, end, (source) => `^(?:.*\\.)?(?:${source})$`).test(name),
  );
  return found?.[1] ?? common;
}
