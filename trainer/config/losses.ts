import { pairLosses, referenceFreeLosses, unpairedLosses } from '../losses/registry.ts';
import { commonDefaults } from './defaults.ts';
import { nearest } from './nearest.ts';
import { listed } from './schema.ts';
import { show } from './sentences.ts';
import { toSnake } from './spelling.ts';
import type { LossSettings, Method } from './types.ts';

/** HPO's losses are those of its base. */
type Base = 'dpo' | 'kto';

interface Entry {
  readonly reads: readonly (keyof LossSettings)[];
}
const preference: Readonly<Record<Base, Readonly<Record<string, Entry>>>> = {
  dpo: { ...pairLosses, ...referenceFreeLosses },
  kto: unpairedLosses,
};
const entries: Readonly<Record<string, Entry>> = { ...preference.dpo, ...preference.kto };

/** What `hpo.base` may be: a method, or losses of one of them. */
export const baseNames: readonly string[] = [
  'dpo',
  ...Object.keys(preference.dpo),
  ...Object.keys(preference.kto),
];

/** TRL's losses of SFT; `nll` alone is here, which TRL's chunked_nll computes in another way. */
const sftLosses = { available: ['nll'], known: ['nll', 'dft', 'chunked_nll'] };

const namesOf = (method: Method, base: Base): readonly string[] =>
  method === 'sft' ? sftLosses.available : Object.keys(preference[method === 'hpo' ? base : method]);

/** The loss that a method takes when none is named. */
export const defaultLoss = (method: Method, base: Base): string =>
  ({ dpo: 'sigmoid', kto: 'kto', sft: 'nll' })[method === 'hpo' ? base : method];

/** `hpo.base` as a method, and the losses that it names where it names some. */
export function resolveBase(names: readonly string[]): { base: Base; lossType?: string[] } {
  const [name = 'dpo'] = names;
  if (names.length === 1 && (name === 'dpo' || name === 'kto')) return { base: name };
  return { base: Object.hasOwn(preference.kto, name) ? 'kto' : 'dpo', lossType: [...names] };
}

/** Whether a method's losses need KL completions: KTO's own. */
export const needsKl = ({ method, hpo, lossType }: LossSettings & { method: Method; hpo: { base: Base } }) =>
  (method === 'kto' || (method === 'hpo' && hpo.base === 'kto')) && lossType.includes('kto');

/** Options that every loss of a mixture must have, SFT aside where it does not matter to SFT. */
const ofEveryLoss = [
  ['fDivergenceType', ['sft']],
  ['useWeighting', []],
  ['ldAlpha', ['sft']],
] as const satisfies readonly (readonly [keyof LossSettings, readonly string[]])[];

/** Options that one loss of a mixture may have alone. */
const ofSomeLoss = [
  ...['labelSmoothing', 'discopopTau', 'simpoGamma', 'cpoAlpha', 'desirableWeight', 'undesirableWeight'],
] as const satisfies readonly (keyof LossSettings)[];

/** What is wrong with `loss_type` and with the options of losses, as sentences. */
export function lossMistakes(settings: LossSettings & { hpo: { base: Base } }, method: Method): string[] {
  const { lossType, hpo } = settings;
  const known = namesOf(method, hpo.base);
  const of = method === 'hpo' ? `method hpo on base ${hpo.base}` : `method ${method}`;
  const unknown = lossType.flatMap((name) => {
    if (known.includes(name)) return [];
    if (method === 'sft' && sftLosses.known.includes(name))
      return [`loss_type: ${name} is not available in prefgrad; ${of} has ${listed(known)}`];
    return [`loss_type: ${name} is no loss of ${of}; did you mean ${nearest(name, known)}?`];
  });
  return unknown.length > 0 ? unknown : [...mixtureMistakes(settings), ...optionMistakes(settings)];
}

function mixtureMistakes({ lossType, lossWeights }: LossSettings): string[] {
  const first = lossType.find((name) => !Object.hasOwn(pairLosses, name));
  const mistakes: string[] = [];
  if (first !== undefined && lossType.length > 1)
    mistakes.push(`loss_type: ${first} is no part of a mixture; name it alone`);
  if (lossWeights === null) return mistakes;
  if (first !== undefined && lossType.length === 1 && lossWeights.some((weight) => weight !== 1))
    mistakes.push(`loss_weights: weigh the losses of a mixture, but loss_type is ${first}; leave it out`);
  if (lossWeights.length !== lossType.length)
    mistakes.push(
      `loss_weights: has ${lossWeights.length} numbers for ${lossType.length} losses (${lossType.join(', ')}); give one for each`,
    );
  return mistakes;
}

/** Nothing is read over: an option that the losses do not have is a mistake. */
function optionMistakes(settings: LossSettings): string[] {
  const { lossType } = settings;
  const given = (key: Exclude<keyof LossSettings, 'lossType'>) => settings[key] !== commonDefaults[key];
  const reads = (key: keyof LossSettings) => (name: string) => entries[name]?.reads.includes(key) ?? false;
  const mistake = (key: keyof LossSettings, names: readonly string[]) => {
    const readers = Object.keys(entries).filter(reads(key));
    return `${toSnake(key)}: is read by loss_type ${listed(readers)}, but loss_type is ${listed(names)}; leave it out`;
  };
  const mistakes: string[] = [];
  for (const [key, spared] of ofEveryLoss) {
    if (!given(key)) continue;
    const without = lossType.filter((name) => !reads(key)(name) && !spared.some((other) => other === name));
    if (without.length > 0 || !lossType.some(reads(key)))
      mistakes.push(mistake(key, without.length > 0 ? without : lossType));
  }
  for (const key of ofSomeLoss)
    if (given(key) && !lossType.some(reads(key))) mistakes.push(mistake(key, lossType));
  if (given('fAlphaDivergenceCoef') && settings.fDivergenceType !== 'alpha_divergence')
    mistakes.push(
      `f_alpha_divergence_coef: is read by f_divergence_type alpha_divergence, but that is ${settings.fDivergenceType}; leave it out`,
    );
  if (lossType.includes('exo_pair') && settings.labelSmoothing === 0)
    mistakes.push('label_smoothing: must be above 0 for loss_type exo_pair; the paper takes 1e-3');
  for (const name of ['ipo', 'sppo_hard'])
    if (lossType.includes(name) && settings.beta === 0)
      mistakes.push(`beta: must be above 0 for loss_type ${name}, got ${show(settings.beta)}`);
  return mistakes;
}
