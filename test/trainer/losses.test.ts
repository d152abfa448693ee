import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice } from '../../engine/index.ts';
import type { TokenizedPair, TokenizedRow } from '../../trainer/data/tokenized.ts';
import * as losses from '../../trainer/losses/index.ts';
import type { Divergence, Loss, PairLoss } from '../../trainer/losses/index.ts';
import type { LossInputs } from './lossBatch.ts';
import { drawInputs, loadLoss, sums } from './lossBatch.ts';
import { judged, tokenPairs } from './tinyModel.ts';
import { someReference } from './tinyRun.ts';

// Every loss against its equation, written again in plain numbers, and its gradient against differences of its values.

const pairs = tokenPairs(5, 2);
const unpaired = judged(pairs);
const reference = new ReferenceDevice();
const open: Device[] = [reference];
afterAll(async () => {
  for (const device of open) await device.dispose();
});

/** One side of a pair. */
interface Side {
  /** log π and log π_ref, |y|. */
  readonly logp: number;
  readonly ref: number;
  readonly tokens: number;
}
type Equation = (pairs: readonly (readonly [Side, Side])[], inputs: LossInputs) => number;

const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const ls = (x: number) => Math.log(sigma(x));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const ratio = ({ logp, ref }: Side) => logp - ref;

/** Each pair's two sides; labels count `weight(position, shorter length)`. */
function sidesOf(
  rows: readonly TokenizedPair[],
  inputs: LossInputs,
  weight: (position: number, shorter: number) => number = () => 1,
): [Side, Side][] {
  const { first, referenceLogps, packed } = inputs.batch;
  const before = (completion: number) => packed.lengths.slice(0, completion).reduce((a, b) => a + b, 0);
  return rows.map((row, r) => {
    const shorter = Math.min(row.chosen.ids.length, row.rejected.ids.length);
    const [chosen, rejected] = [row.chosen, row.rejected].map(({ ids }, side): Side => {
      const completion = (first[r] ?? 0) + side;
      const start = before(completion);
      const logp = ids.reduce(
        (sum, _, i) => sum + weight(i, shorter) * (inputs.tokenLogps[start + i] ?? NaN),
        0,
      );
      return { logp, ref: referenceLogps[completion] ?? NaN, tokens: ids.length };
    });
    return [chosen, rejected];
  });
}

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
const chosenTokens: Equation = (all) =>
  -all.reduce((n, [w]) => n + w.logp, 0) / all.reduce((n, [w]) => n + w.tokens, 0);
const sum =
  (...parts: readonly (readonly [number, Equation])[]): Equation =>
  (...given) =>
    parts.reduce((total, [weight, equation]) => total + weight * equation(...given), 0);

const beta = 0.3;
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
const mixed = losses.mixture([
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
const desensitised = (position: number, shorter: number) => (position < shorter ? 1 : 0.25);
const logOdds = ({ logp, tokens }: Side) => logp / tokens - Math.log(1 - Math.exp(logp / tokens));

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

const cases: Case[] = [
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
const near = (row: TokenizedRow): number[] => {
  const completions = row.kind === 'pair' ? [row.chosen, row.rejected] : [row.completion];
  const lengths = completions.flatMap((c) => [c.ids.length, ...(c.klIds === null ? [] : [c.klIds.length])]);
  return lengths.map((n, i) => -0.75 * n + 0.3 * ((someReference(row)[i] ?? 0) + 8));
};

const STEP = 1e-5;
const PROBES = 14;

describe('a loss', () => {
  for (const { name, loss, rows, value } of cases)
    it(`${name}: is its equation, and its gradient is that of central differences`, async () => {
      const referenceOf = (row: TokenizedRow) => near(row).slice(0, loss.sequence(row).completions.length);
      for (const count of [5, 3]) {
        const loaded = await loadLoss(reference, loss, rows);
        const inputs = drawInputs(loss, rows.slice(0, count), referenceOf, 11);
        const { loss: got, gradient } = await loaded.run(inputs);
        const want = value(inputs, count);
        expect(Math.abs(got - want) / Math.max(1, Math.abs(want))).toBeLessThan(1e-12);

        const scale = Math.max(...Array.from(gradient, Math.abs));
        expect(scale).toBeGreaterThan(1e-3);
        const { owners } = inputs.batch.packed;
        const stride = Math.max(1, Math.floor(owners.length / PROBES));
        for (let label = 0; label < owners.length; label += stride) {
          // KTO's z is a constant to the gradient.
          if (name === 'kto' && !inputs.batch.first.includes(owners[label] ?? -1)) {
            expect(gradient[label]).toBe(0);
            continue;
          }
          const at = async (delta: number) => {
            const tokenLogps = Float64Array.from(inputs.tokenLogps);
            const statistics = Float64Array.from(inputs.statistics);
            tokenLogps[label] = (tokenLogps[label] ?? NaN) + delta;
            // WPO's weights are constants too: they stay as they are where Σp² moves along.
            statistics[4 * label] = (statistics[4 * label] ?? NaN) * Math.exp(delta);
            return (await loaded.run({ ...inputs, tokenLogps, statistics })).loss;
          };
          const numeric = ((await at(STEP)) - (await at(-STEP))) / (2 * STEP);
          expect(Math.abs(numeric - (gradient[label] ?? NaN)) / scale, `label ${label}`).toBeLessThan(1e-6);
        }
        loaded.dispose();
      }
    });
});

describe('in WebAssembly', () => {
  for (const { name, loss, rows } of cases)
    it(`${name}: batches of 5, 4, 3 and 1 give what the definitions give`, async () => {
      const device = open[1] ?? (await WasmDevice.create({ threads: 1 }));
      open[1] = device;
      const referenceOf = (row: TokenizedRow) => near(row).slice(0, loss.sequence(row).completions.length);
      // [rows, room]
      for (const [count, room] of [
        [5, 5],
        [4, 4],
        [3, 5],
        [1, 1],
      ] as const) {
        if (loss.name === 'kto' && count === 1) continue; // which has no other prompt for its KL term
        const inputs = drawInputs(loss, rows.slice(0, count), referenceOf, 13);
        const [want, got] = [reference, device].map(async (on) => {
          const loaded = await loadLoss(on, loss, rows, room);
          const result = await loaded.run(inputs);
          loaded.dispose();
          return result;
        });
        const [expected, result] = [await want, await got];
        const off = (a: number, b: number, scale: number) => Math.abs(a - b) / scale;
        const size = Math.max(1, Math.abs(expected?.loss ?? NaN));
        expect(off(result?.loss ?? NaN, expected?.loss ?? NaN, size)).toBeLessThan(1e-5);
        const scale = Math.max(...Array.from(expected?.gradient ?? [], Math.abs));
        result?.gradient.forEach((g, i) =>
          expect(off(g, expected?.gradient[i] ?? NaN, scale), `label ${i}`).toBeLessThan(3e-5),
        );
        for (const [metric, number] of Object.entries(expected?.metrics ?? {}))
          expect(
            off(result?.metrics[metric] ?? NaN, number, Math.max(1, Math.abs(number))),
            metric,
          ).toBeLessThan(1e-5);
      }
    });
});

describe('metrics', () => {
  const metricsOf = async (loss: Loss, rows: readonly TokenizedRow[]) => {
    const referenceOf = (row: TokenizedRow) => near(row).slice(0, loss.sequence(row).completions.length);
    const inputs = drawInputs(loss, rows, referenceOf, 17);
    const loaded = await loadLoss(reference, loss, rows);
    return { inputs, metrics: (await loaded.run(inputs)).metrics };
  };
  const paired = ['chosen', 'rejected', 'margins', 'accuracies'].map((name) => `rewards/${name}`);
  const names = [...paired, 'logps/chosen', 'logps/rejected'];

  it("are TRL's: rewards are β times log-ratios, whatever the loss and its divergence", async () => {
    for (const loss of [losses.dpo({ beta }), losses.ipo(divergence(jsDivergence)), mixed]) {
      const { inputs, metrics } = await metricsOf(loss, pairs);
      const sides = sidesOf(pairs, inputs);
      expect(Object.keys(metrics)).toEqual(names);
      expect(metrics['rewards/chosen']).toBeCloseTo(mean(sides.map(([w]) => beta * ratio(w))), 10);
      expect(metrics['rewards/margins']).toBeCloseTo(
        mean(sides.map(([w, l]) => beta * (ratio(w) - ratio(l)))),
        10,
      );
      expect(metrics['rewards/accuracies']).toBe(mean(sides.map(([w, l]) => (ratio(w) > ratio(l) ? 1 : 0))));
      expect(metrics['logps/rejected']).toBeCloseTo(mean(sides.map(([, l]) => l.logp)), 10);
    }
  });

  it('of LD-DPO count what its loss counts', async () => {
    const { inputs, metrics } = await metricsOf(
      losses.lengthDesensitised(losses.dpo({ beta }), { alpha: 0.25 }),
      pairs,
    );
    const sides = sidesOf(pairs, inputs, desensitised);
    expect(metrics['logps/chosen']).toBeCloseTo(mean(sides.map(([w]) => w.logp)), 10);
    expect(metrics['rewards/rejected']).toBeCloseTo(mean(sides.map(([, l]) => beta * ratio(l))), 10);
  });

  it('of losses without a reference are β log π, and have the likelihood beside', async () => {
    const cpo = await metricsOf(losses.cpo({ beta, alpha: 0.5 }), pairs);
    const sides = sidesOf(pairs, cpo.inputs);
    expect(Object.keys(cpo.metrics)).toEqual([...names, 'nll_loss']);
    expect(cpo.metrics['rewards/chosen']).toBeCloseTo(mean(sides.map(([w]) => beta * w.logp)), 10);
    expect(cpo.metrics['nll_loss']).toBeCloseTo(chosenTokens(sides, cpo.inputs), 10);

    const { inputs, metrics } = await metricsOf(losses.orpo({ beta }), pairs);
    const own = sidesOf(pairs, inputs);
    expect(Object.keys(metrics)).toEqual([...names, 'nll_loss', 'log_odds_ratio', 'log_odds_chosen']);
    expect(metrics['logps/chosen']).toBeCloseTo(mean(own.map(([w]) => w.logp / w.tokens)), 10);
    expect(metrics['log_odds_chosen']).toBeCloseTo(mean(own.map(([w, l]) => logOdds(w) - logOdds(l))), 10);
    expect(metrics['log_odds_ratio']).toBeCloseTo(mean(own.map(([w, l]) => ls(logOdds(w) - logOdds(l)))), 10);
    expect((await metricsOf(losses.simpo({ alpha: 0 }), pairs)).metrics['nll_loss']).toBe(0);
  });
});

it("ORPO's odds keep their precision where the model is nearly certain", async () => {
  const device = open[1] ?? (await WasmDevice.create({ threads: 1 }));
  open[1] = device;
  const loss = losses.orpo({ beta });
  const inputs = drawInputs(loss, pairs.slice(0, 1), () => [], 3);
  const { owners } = inputs.batch.packed;
  // p = 1 − 1e-6 for the chosen tokens, e^−40 for the rejected ones.
  const tokenLogps = Float64Array.from(owners, (owner) => (owner === 1 ? -40 : Math.log1p(-1e-6)));
  const loaded = await loadLoss(device, loss, pairs.slice(0, 1));
  const { metrics } = await loaded.run({ ...inputs, tokenLogps });
  expect(metrics['log_odds_chosen']).toBeCloseTo(Math.log((1 - 1e-6) / 1e-6) + 40, 3);
});

describe('what makes no sense is refused', () => {
  it.each<[string, () => unknown, string]>([
    [
      'weights of pairs where pairs are sorted',
      () => losses.wpo(losses.aot()),
      'aot has no loss of each pair',
    ],
    ['weights of pairs for SFT', () => losses.wpo(losses.chosenSft()), 'sft has no loss of each pair'],
    ['an empty mixture', () => losses.mixture([]), 'needs at least one loss'],
    ['EXO without smoothing', () => losses.exo({ labelSmoothing: 0 }), 'must lie between 0 and 1, got 0'],
    [
      'an α of LD-DPO above 1',
      () => losses.lengthDesensitised(losses.dpo(), { alpha: 2 }),
      'from 0 to 1, got 2',
    ],
    [
      'a row that is no pair',
      () => losses.simpo().sequence(unpaired[0]),
      'pairs.jsonl:1: the loss simpo needs prompt, chosen and rejected; this row is no pair',
    ],
  ])('%s', (_, make, sentence) => {
    expect(make).toThrow(sentence);
  });
});
