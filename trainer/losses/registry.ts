import type { LossSettings } from '../config/types.ts';
import { aot } from './aot.ts';
import { aotUnpaired } from './aotUnpaired.ts';
import { apoDown } from './apoDown.ts';
import { apoZero } from './apoZero.ts';
import { apoZeroUnpaired } from './apoZeroUnpaired.ts';
import { bco } from './bco.ts';
import { chosenSft } from './chosenSft.ts';
import { cpo } from './cpo.ts';
import { discopop } from './discopop.ts';
import type { Divergence } from './divergence.ts';
import { alphaDivergence, forwardKl, jsDivergence, reverseKl } from './divergence.ts';
import { dpo } from './dpo.ts';
import { exo } from './exo.ts';
import { hinge } from './hinge.ts';
import { ipo } from './ipo.ts';
import { kto } from './kto.ts';
import { lengthDesensitised } from './lengthDesensitised.ts';
import type { Loss } from './loss.ts';
import { mixture } from './mixture.ts';
import { nca } from './nca.ts';
import { orpo } from './orpo.ts';
import type { PairLoss } from './pairs.ts';
import { robust } from './robust.ts';
import { sigmoidNorm } from './sigmoidNorm.ts';
import { simpo } from './simpo.ts';
import { sppo } from './sppo.ts';
import { wpo } from './wpo.ts';

/** A loss of `loss_type`: the settings it reads beside β, and how it is made of them. A new loss is one entry. */
interface Entry<L extends Loss> {
  readonly reads: readonly (keyof LossSettings)[];
  readonly make: (settings: LossSettings) => L;
}

const smoothing = ['labelSmoothing'] as const;
const scored = ['fDivergenceType', 'useWeighting', 'ldAlpha'] as const;
const plain = ['useWeighting', 'ldAlpha'] as const;

const divergences: Readonly<Record<LossSettings['fDivergenceType'], (alpha: number) => Divergence>> = {
  reverse_kl: () => reverseKl,
  forward_kl: () => forwardKl,
  js_divergence: () => jsDivergence,
  alpha_divergence: alphaDivergence,
};
const scoring = ({ beta, fDivergenceType, fAlphaDivergenceCoef }: LossSettings) => ({
  beta,
  divergence: divergences[fDivergenceType](fAlphaDivergenceCoef),
});

/** On pairs with a reference; these mix. */
export const pairLosses = {
  sigmoid: {
    reads: [...smoothing, ...scored],
    make: (s) => dpo({ ...scoring(s), labelSmoothing: conservative(s) }),
  },
  hinge: { reads: scored, make: (s) => hinge(scoring(s)) },
  ipo: { reads: scored, make: (s) => ipo(scoring(s)) },
  exo_pair: {
    reads: [...smoothing, ...scored],
    make: (s) => exo({ ...scoring(s), labelSmoothing: s.labelSmoothing }),
  },
  nca_pair: { reads: plain, make: nca },
  robust: {
    reads: [...smoothing, ...scored],
    make: (s) => robust({ ...scoring(s), labelSmoothing: s.labelSmoothing }),
  },
  bco_pair: { reads: plain, make: bco },
  sppo_hard: { reads: plain, make: sppo },
  aot: { reads: [...smoothing, 'ldAlpha'], make: (s) => aot(s) },
  aot_unpaired: { reads: [...smoothing, 'ldAlpha'], make: (s) => aotUnpaired(s) },
  apo_zero: { reads: plain, make: apoZero },
  apo_down: { reads: plain, make: apoDown },
  discopop: {
    reads: [...scored, 'discopopTau'],
    make: (s) => discopop({ ...scoring(s), tau: s.discopopTau }),
  },
  sft: { reads: [], make: chosenSft },
  sigmoid_norm: { reads: scored, make: (s) => sigmoidNorm(scoring(s)) },
} satisfies Record<string, Entry<PairLoss>>;

/** On pairs without a reference; each stands alone. */
export const referenceFreeLosses = {
  cpo: {
    reads: [...smoothing, 'cpoAlpha'],
    make: (s) => cpo({ ...s, alpha: s.cpoAlpha }),
  },
  simpo: {
    reads: [...smoothing, 'cpoAlpha', 'simpoGamma'],
    make: (s) => simpo({ ...s, alpha: s.cpoAlpha, gamma: s.simpoGamma }),
  },
  orpo: { reads: [], make: orpo },
} satisfies Record<string, Entry<Loss>>;

/** On judged completions. */
export const unpairedLosses = {
  kto: { reads: ['desirableWeight', 'undesirableWeight'], make: kto },
  apo_zero_unpaired: { reads: ['desirableWeight', 'undesirableWeight'], make: apoZeroUnpaired },
} satisfies Record<string, Entry<Loss>>;

/** TRL's ε is that of these; where one of them is mixed with sigmoid, sigmoid takes none, as in TRL. */
const smoothedInTrl = new Set(['robust', 'exo_pair', 'aot', 'aot_unpaired']);
const conservative = ({ labelSmoothing, lossType }: LossSettings): number =>
  lossType.some((name) => smoothedInTrl.has(name)) ? 0 : labelSmoothing;

const isPairLoss = (name: string): name is keyof typeof pairLosses => Object.hasOwn(pairLosses, name);
const others: Readonly<Record<string, Entry<Loss>>> = { ...referenceFreeLosses, ...unpairedLosses };

/** The loss that settings name, checked before by `lossMistakes`: one, or a mixture, with WPO's and LD-DPO's weights. */
export function preferenceLoss(settings: LossSettings): Loss {
  const { lossType, lossWeights, useWeighting, ldAlpha } = settings;
  const [name = ''] = lossType;
  const other = others[name];
  if (other !== undefined) return other.make(settings);
  const parts = lossType.filter(isPairLoss).map((part, i) => ({
    loss: pairLosses[part].make(settings),
    weight: lossWeights?.[i] ?? 1,
  }));
  const [first] = parts;
  const mixed = first !== undefined && parts.length === 1 && first.weight === 1 ? first.loss : mixture(parts);
  const weighted = useWeighting ? wpo(mixed) : mixed;
  return ldAlpha === null ? weighted : lengthDesensitised(weighted, { alpha: ldAlpha });
}
