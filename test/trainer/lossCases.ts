import { expect } from 'vitest';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import * as losses from '../../trainer/losses/index.ts';
import type { Divergence, Loss, PairLoss } from '../../trainer/losses/index.ts';
import type { LossInputs } from './lossBatch.ts';
import { sums } from './lossBatch.ts';
import type { Side } from './lossSides.ts';
import { ls, mean, ratio, sidesOf, sigma } from './lossSides.ts';
import { judged, tokenPairs } from './tinyModel.ts';
import { someReference } from './tinyRun.ts';

// Every loss with its equation, written again in plain numbers.

export const pairs = tokenPairs(5, 2);
export const unpaired = judged(pairs);
type Equation = (pairs: readonly (readonly [Side, Side])[], inputs: LossInputs) => number;

const perPair =
  (f: (w: Side, l: Side) => number): Equation =>
  (all) =>
    mean(all.map(([w, l]) => f(w, l)));
/** Equations that see the margin of scores alone. */
const onMargin = (f: (delta: number) => number, score: (side: Side) => number = ratio): Equation =>
  perPair((w, l) => f(score(w) - score(l)));
const perToken =
  (score: (side: Side) => number) =>
  (side: Side): number =>
    score(side) / side.tokens;
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
export const chosenTokens: Equation = (all) =>
  -all.reduce((n, [w]) => n + w.logp, 0) / all.reduce((n, [w]) => n + w.tokens, 0);
const sum =
  (...parts: readonly (readonly [number, Equation])[]): Equation =>
  (...given) =>
    parts.reduce((total, [weight, equation]) => total + weight * equation(...given), 0);

export const beta = 0.3;
const smoothed = (epsilon: number) => (x: number) => -(1 - epsilon) * ls(beta * x) - epsilon * ls(-beta * x);
const [forward, js, alpha] = [
  ({ logp, ref }: Side) => 1 - Math.exp(ref - logp),
  (side: Side) => Math.log((2 * Math.exp(ratio(side))) / (1 + Math.exp(ratio(side)))),
  (side: Side) => (Math.exp(ratio(side)) ** (0.3 - 1) - 1) / (0.3 - 1),
];
const aotOf =
  (epsilon: number): Equation =>
  (all) => {
    const own = ascending(all.map(([w, l]) => w.logp - l.logp));
    const ref = ascending(all.map(([w, l]) => w.ref - l.ref));
    return mean(own.map((x, i) => smoothed(epsilon)(x - (ref[i] ?? NaN))));
  };
const aotUnpairedOf =
  (epsilon: number): Equation =>
  (all) => {
    const [win, lose] = [0, 1].map((side) => ascending(all.map((pair) => ratio(pair[side as 0 | 1]))));
    return mean((win ?? []).map((x, i) => smoothed(epsilon)(x - (lose?.[i] ?? NaN))));
  };
const discopopOf = (tau: number) => (delta: number) => {
  const m = sigma((beta * delta) / tau);
  return -ls(beta * delta) * (1 - m) + Math.exp(-beta * delta) * m;
};
const exoOf = (epsilon: number) => (delta: number) =>
  [
    [beta * delta, 1 - epsilon],
    [-beta * delta, epsilon],
  ].reduce((kl, [x = NaN, target = NaN]) => kl + sigma(x) * Math.log(sigma(x) / target), 0);
const robustOf = (epsilon: number) => (delta: number) =>
  ((1 - epsilon) * -ls(beta * delta) + epsilon * ls(-beta * delta)) / (1 - 2 * epsilon);

const { alphaDivergence, forwardKl, jsDivergence } = losses;
const divergence = (which: Divergence) => ({ beta, divergence: which });
export const mixed = losses.mixture([
  { loss: losses.dpo({ beta }), weight: 0.8 },
  { loss: losses.bco({ beta }), weight: 0.2 },
  { loss: losses.chosenSft({ beta }) },
]);
const dpoEquation = onMargin((d) => -ls(beta * d));
const bcoEquation = perPair((w, l) => -ls(beta * ratio(w)) - ls(-beta * ratio(l)));
const mixedEquation = sum([0.8, dpoEquation], [0.2, bcoEquation], [1, chosenTokens]);
const ncaEquation = perPair(
  (w, l) => -ls(beta * ratio(w)) - 0.5 * ls(-beta * ratio(w)) - 0.5 * ls(-beta * ratio(l)),
);

const onPairs: [string, PairLoss, Equation][] = [
  ['dpo', losses.dpo({ beta }), dpoEquation],
  ['conservative dpo', losses.dpo({ beta, labelSmoothing: 0.1 }), onMargin(smoothed(0.1))],
  ['dpo, forward KL', losses.dpo(divergence(forwardKl)), onMargin((d) => -ls(beta * d), forward)],
  ['dpo, Jensen–Shannon', losses.dpo(divergence(jsDivergence)), onMargin((d) => -ls(beta * d), js)],
  ['dpo, α', losses.dpo(divergence(alphaDivergence(0.3))), onMargin((d) => -ls(beta * d), alpha)],
  ['dpo, α = 1', losses.dpo(divergence(alphaDivergence(1))), dpoEquation],
  ['hinge', losses.hinge({ beta }), onMargin((d) => Math.max(0, 1 - beta * d))],
  [
    'hinge, α',
    losses.hinge(divergence(alphaDivergence(0.3))),
    onMargin((d) => Math.max(0, 1 - beta * d), alpha),
  ],
  ['ipo', losses.ipo({ beta }), onMargin((d) => (d - 1 / (2 * beta)) ** 2, perToken(ratio))],
  [
    'ipo, Jensen–Shannon',
    losses.ipo(divergence(jsDivergence)),
    onMargin((d) => (d - 1 / (2 * beta)) ** 2, perToken(js)),
  ],
  ['exo', losses.exo({ beta, labelSmoothing: 0.02 }), onMargin(exoOf(0.02))],
  ['exo by default', losses.exo({ beta }), onMargin(exoOf(1e-3))],
  ['nca', losses.nca({ beta }), ncaEquation],
  ['robust', losses.robust({ beta, labelSmoothing: 0.2 }), onMargin(robustOf(0.2))],
  [
    'robust, forward KL',
    losses.robust({ ...divergence(forwardKl), labelSmoothing: 0.2 }),
    onMargin(robustOf(0.2), forward),
  ],
  ['bco', losses.bco({ beta }), bcoEquation],
  [
    'sppo',
    losses.sppo({ beta }),
    perPair((w, l) => (ratio(w) - 0.5 / beta) ** 2 + (ratio(l) + 0.5 / beta) ** 2),
  ],
  ['aot', losses.aot({ beta }), aotOf(0)],
  ['aot, smoothed', losses.aot({ beta, labelSmoothing: 0.1 }), aotOf(0.1)],
  ['aot, unpaired', losses.aotUnpaired({ beta }), aotUnpairedOf(0)],
  ['aot, unpaired, smoothed', losses.aotUnpaired({ beta, labelSmoothing: 0.1 }), aotUnpairedOf(0.1)],
  [
    'apo zero',
    losses.apoZero({ beta }),
    perPair((w, l) => 1 - sigma(beta * ratio(w)) + sigma(beta * ratio(l))),
  ],
  [
    'apo down',
    losses.apoDown({ beta }),
    perPair((w, l) => sigma(beta * ratio(w)) + 1 - sigma(beta * (ratio(w) - ratio(l)))),
  ],
  ['discopop', losses.discopop({ beta, tau: 0.4 }), onMargin(discopopOf(0.4))],
  ['length-normalised', losses.sigmoidNorm({ beta }), onMargin((d) => -ls(beta * d), perToken(ratio))],
  ['sft', losses.chosenSft({ beta }), chosenTokens],
  ['a mixture', mixed, mixedEquation],
  [
    'a mixture with sorting',
    losses.mixture([{ loss: losses.aot({ beta }) }, { loss: losses.nca({ beta }), weight: 2 }]),
    sum([1, aotOf(0)], [2, ncaEquation]),
  ],
];

/** w(x, y) of each completion, from the labels' log-probs and Σp². */
const likelyWeights = (inputs: LossInputs): number[] =>
  sums(inputs, (i) => (inputs.tokenLogps[i] ?? NaN) - Math.log(inputs.statistics[4 * i] ?? NaN)).map(
    (total, i) => Math.exp(total / (inputs.batch.packed.lengths[i] ?? NaN)),
  );
const weighted =
  (f: (w: Side, l: Side) => number): Equation =>
  (all, inputs) => {
    const weights = likelyWeights(inputs);
    return mean(all.map(([w, l], i) => f(w, l) * (weights[2 * i] ?? NaN) * (weights[2 * i + 1] ?? NaN)));
  };
export const desensitised = (position: number, shorter: number) => (position < shorter ? 1 : 0.25);
export const logOdds = ({ logp, tokens }: Side) => logp / tokens - Math.log(1 - Math.exp(logp / tokens));

interface Case {
  readonly name: string;
  readonly loss: Loss;
  readonly rows: readonly TokenizedRow[];
  readonly value: (inputs: LossInputs, count: number) => number;
}
const pairCase = (name: string, loss: Loss, equation: Equation, weight?: typeof desensitised): Case => ({
  name,
  loss,
  rows: pairs,
  value: (inputs, count) => equation(sidesOf(pairs.slice(0, count), inputs, weight), inputs),
});

const unpairedOptions = { beta, desirableWeight: 1.3, undesirableWeight: 0.6 };
/** Mean of λ (1 − σ(±β (ratio − z))). */
const unpairedValue = (withKl: boolean) => (inputs: LossInputs, count: number) => {
  const { first, referenceLogps } = inputs.batch;
  const logps = sums(inputs, (i) => inputs.tokenLogps[i] ?? NaN);
  const ratios = logps.map((logp, i) => logp - (referenceLogps[i] ?? NaN));
  const z = withKl ? Math.max(0, mean(ratios.filter((_, i) => !first.includes(i)))) : 0;
  return mean(
    unpaired.slice(0, count).map(({ label }, r) => {
      const gain = beta * ((ratios[first[r] ?? -1] ?? NaN) - z);
      return label ? 1.3 * (1 - sigma(gain)) : 0.6 * (1 - sigma(-gain));
    }),
  );
};

export const cases: Case[] = [
  ...onPairs.map(([name, loss, equation]) => pairCase(name, loss, equation)),
  pairCase(
    'wpo',
    losses.wpo(losses.dpo({ beta })),
    weighted((w, l) => -ls(beta * (ratio(w) - ratio(l)))),
  ),
  pairCase(
    'wpo of a mixture, length-desensitised',
    losses.lengthDesensitised(
      losses.wpo(
        losses.mixture([{ loss: losses.hinge({ beta }) }, { loss: losses.sppo({ beta }), weight: 0.1 }]),
      ),
      { alpha: 0.25 },
    ),
    weighted(
      (w, l) =>
        Math.max(0, 1 - beta * (ratio(w) - ratio(l))) +
        0.1 * ((ratio(w) - 0.5 / beta) ** 2 + (ratio(l) + 0.5 / beta) ** 2),
    ),
    desensitised,
  ),
  pairCase(
    'length-desensitised dpo',
    losses.lengthDesensitised(losses.dpo({ beta }), { alpha: 0.25 }),
    dpoEquation,
    desensitised,
  ),
  {
    ...pairCase('length-desensitised mixture, whose sft counts each token', mixed, mixedEquation),
    loss: losses.lengthDesensitised(mixed, { alpha: 0.25 }),
    value(inputs, count) {
      const rows = pairs.slice(0, count);
      const own = sidesOf(rows, inputs, desensitised);
      return (
        0.8 * dpoEquation(own, inputs) +
        0.2 * bcoEquation(own, inputs) +
        chosenTokens(sidesOf(rows, inputs), inputs)
      );
    },
  },
  pairCase(
    'cpo',
    losses.cpo({ beta, alpha: 0.7, labelSmoothing: 0.1 }),
    sum([1, onMargin(smoothed(0.1), ({ logp }) => logp)], [0.7, chosenTokens]),
  ),
  pairCase(
    'simpo',
    losses.simpo({ beta: 2, gamma: 0.8, alpha: 0 }),
    onMargin(
      (d) => -ls(2 * d - 0.8),
      perToken(({ logp }) => logp),
    ),
  ),
  pairCase(
    'simpo, smoothed, with a likelihood',
    losses.simpo({ beta: 2, gamma: 0.8, alpha: 0.5, labelSmoothing: 0.2 }),
    sum(
      [
        1,
        onMargin(
          (d) => -0.8 * ls(2 * d - 0.8) - 0.2 * ls(0.8 - 2 * d),
          perToken(({ logp }) => logp),
        ),
      ],
      [0.5, chosenTokens],
    ),
  ),
  {
    name: 'orpo, whose likelihood counts the prompts',
    loss: losses.orpo({ beta }),
    rows: pairs,
    value(inputs, count) {
      const { lengths } = inputs.batch.packed;
      const totals = sums(inputs, (i) => inputs.tokenLogps[i] ?? NaN);
      // Chosen, rejected and prompt of each pair in turn.
      const text = (of: ArrayLike<number>) =>
        Array.from(of).reduce((n, x, i) => n + (i % 3 === 1 ? 0 : x), 0);
      expect(text(lengths)).toBe(
        pairs.slice(0, count).reduce((n, p) => n + p.promptIds.length - 1 + p.chosen.ids.length, 0),
      );
      const odds = perPair((w, l) => -beta * ls(logOdds(w) - logOdds(l)));
      return -text(totals) / text(lengths) + odds(sidesOf(pairs.slice(0, count), inputs), inputs);
    },
  },
  { name: 'kto', loss: losses.kto(unpairedOptions), rows: unpaired, value: unpairedValue(true) },
  {
    name: 'apo zero, unpaired',
    loss: losses.apoZeroUnpaired(unpairedOptions),
    rows: unpaired,
    value: unpairedValue(false),
  },
];

/** A reference near the drawn log-probs, so that log-ratios have both signs and no loss is flat. */
export const near = (row: TokenizedRow): number[] => {
  const completions = row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];
  const lengths = completions.flatMap((c) => [c.ids.length, ...(c.klIds === null ? [] : [c.klIds.length])]);
  return lengths.map((n, i) => -0.75 * n + 0.3 * ((someReference(row)[i] ?? 0) + 8));
};
