import { afterAll, describe, expect, it } from 'vitest';
import type { Device, Tensor } from '../../engine/index.ts';
import {
  ReferenceDevice,
  WasmDevice,
  add,
  affine,
  compile,
  div,
  f32,
  gatherRows,
  globalNorm,
  grad,
  i32,
  mean,
  neg,
} from '../../engine/index.ts';
import type { LanguageModel } from '../../models/model.ts';
import type { TokenizedPair, TokenizedRow } from '../../trainer/data/tokenized.ts';
import { completionsOf } from '../../trainer/data/tokenized.ts';
import type { HpoOptions } from '../../trainer/losses/hpo.ts';
import {
  aot,
  apoZeroUnpaired,
  chosenSft,
  dpo,
  hpo,
  ipo,
  kto,
  lengthDesensitised,
  mixture,
  orpo,
  simpo,
  wpo,
} from '../../trainer/losses/index.ts';
import type { Loss } from '../../trainer/losses/loss.ts';
import { capacityOf, packedTypes } from '../../trainer/pack.ts';
import type { PackedInputs } from '../../trainer/score.ts';
import { Scorer, logProbs } from '../../trainer/score.ts';
import { microbatch } from '../../trainer/step.ts';
import type { ValueHead } from '../../trainer/valueHead.ts';
import { judged, tinyConfig, tinyModel, tokenPairs } from './tinyModel.ts';
import {
  bitsOf,
  distance,
  numbersOf,
  openLoop,
  runToEnd,
  someReference,
  someReward,
  startedHead,
} from './tinyRun.ts';

// "What must hold" of ../shared/hpo.md, numbered as there. 6 is in invariants.rewards.test.ts, 7 in bench/.

const devices: Device[] = [new ReferenceDevice(), await WasmDevice.create({ threads: 1 })];
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

const pairs = tokenPairs(6);
const bases: { name: string; base: Loss; rows: readonly TokenizedRow[] }[] = [
  { name: 'dpo', base: dpo({ beta: 0.3 }), rows: pairs },
  { name: 'kto', base: kto({ beta: 0.3 }), rows: judged(pairs) },
  { name: 'apo zero, unpaired', base: apoZeroUnpaired({ beta: 0.3 }), rows: judged(pairs) },
  { name: 'ipo', base: ipo({ beta: 0.3 }), rows: pairs },
  { name: 'simpo', base: simpo({ beta: 2 }), rows: pairs },
  { name: 'orpo', base: orpo({ beta: 0.3 }), rows: pairs },
  { name: 'aot and sft', base: mixture([{ loss: aot() }, { loss: chosenSft(), weight: 0.5 }]), rows: pairs },
  { name: 'wpo, length-desensitised', base: lengthDesensitised(wpo(dpo()), { alpha: 0.4 }), rows: pairs },
];

/** HPO on a model of its own, and what its parts are. */
async function hpoOn(
  device: Device,
  base: Loss,
  options: Partial<HpoOptions> & { dropout?: number } = {},
): Promise<{ model: LanguageModel; head: ValueHead; loss: Loss }> {
  const model = tinyModel(device);
  const head = await startedHead(device, model, options);
  const loss = hpo({ base, valueHead: head, rewardOf: someReward, actorWarmupSteps: 0, ...options });
  return { model, head, loss };
}

/** base + γ · (mean over the rows' own completions, not KTO's KL ones, of −log π(y|x) / |y|). */
function withSft(base: Loss, gamma: number): Loss {
  return {
    ...base,
    inputTypes: (capacity) => ({ ...base.inputTypes(capacity), own: i32([capacity.completions], 'own') }),
    inputs: (batch, step) => ({
      ...base.inputs(batch, step, 0),
      own: batch.rows.flatMap((row, r) => completionsOf(row).map((_, i) => (batch.first[r] ?? 0) + i)),
    }),
    build(batch) {
      const own = (x: Tensor) => gatherRows(x, batch.inputs['own']);
      const sft = neg(mean(div(own(batch.logps), own(batch.lengths))));
      const preference = base.build(batch);
      return { ...preference, loss: add(preference.loss, affine(sft, gamma)) };
    },
  };
}

/** Norms of the gradients of HPO's three terms, in the model's parameters and in the value head's. */
async function gradientNorms(
  device: Device,
  { model, head, loss }: Awaited<ReturnType<typeof hpoOn>>,
  rows: readonly TokenizedRow[],
) {
  const sequences = rows.map((row) => loss.sequence(row));
  const capacity = capacityOf(sequences, rows.length);
  const types = {
    ...packedTypes(capacity),
    referenceLogps: f32([capacity.completions], 'completions'),
    ...loss.inputTypes(capacity),
  };
  const terms = ['preference', 'actor', 'value'] as const;
  const groups = { model: model.parameters, head: head.parameters };
  const program = compile('terms', types, (given) => {
    const inputs = given as PackedInputs & { referenceLogps: Tensor };
    const { referenceLogps, lengths } = inputs;
    const graph = loss.build({
      ...logProbs(model, inputs, { statistics: loss.usesStatistics }),
      ...{ referenceLogps, lengths, inputs: given },
    });
    const outputs: Record<string, Tensor> = {};
    for (const term of terms)
      for (const [group, parameters] of Object.entries(groups)) {
        const target = graph.outputs?.[term];
        if (target === undefined) throw new Error(`HPO gives no ${term}`);
        outputs[`${term}/${group}`] = globalNorm(
          grad(
            target,
            parameters.map((p) => p.variable.tensor),
          ),
        );
      }
    return { outputs };
  });
  const executable = await device.load(program);
  const batch = microbatch(rows, loss, (row) =>
    someReference(row).slice(0, loss.sequence(row).completions.length),
  );
  const { packed, referenceLogps } = batch;
  const norms = await executable.run({ ...packed, referenceLogps, ...loss.inputs(batch, 1, 0) });
  executable.dispose();
  return Object.fromEntries(Object.entries(norms).map(([name, norm]) => [name, norm[0]]));
}

for (const device of devices) {
  describe(`HPO on ${device.kind}`, () => {
    for (const { name, base, rows } of bases) {
      it(`1. γ = 0: the model goes the way of ${name}, bit for bit`, async () => {
        const keys = { optim: 'adamw', learning_rate: 0.01, max_grad_norm: 0.5, max_steps: 4 };
        const model = tinyModel(device);
        const alone = await runToEnd({ model, device, loss: base, rows, keys });
        const { model: other, head, loss } = await hpoOn(device, base, { gamma: 0, dropout: 0.1 });
        const before = await numbersOf(device, head.parameters);
        const hybrid = await runToEnd({ model: other, device, loss, rows, keys });

        expect(bitsOf(await numbersOf(device, other.parameters))).toBe(
          bitsOf(await numbersOf(device, model.parameters)),
        );
        expect(bitsOf(await numbersOf(device, head.parameters))).not.toBe(bitsOf(before));
        hybrid.forEach(({ metrics, microbatches: [own] }, i) => {
          expect(metrics['grad_norm']).toBe(alone[i]?.metrics['grad_norm']);
          expect(own?.['loss/preference']).toBe(alone[i]?.metrics['loss']);
          const sum = (own?.['loss/preference'] ?? NaN) + 0.1 * (own?.['loss/value'] ?? NaN);
          expect(metrics['loss']).toBeCloseTo(sum, 5);
          expect(own?.['loss/value']).toBeGreaterThan(0);
          expect(own?.['loss/actor']).toBeGreaterThan(0); // logged although it does not count
        });
      });

      it(`2. λ = 0: ${name} + γ · SFT on every completion`, async () => {
        const gamma = 0.7;
        const { model, loss } = await hpoOn(device, base, { gamma, lambda: 0 });
        const results = await runToEnd({ model, device, loss, rows });
        const plain = tinyModel(device);
        await runToEnd({ model: plain, device, loss: withSft(base, gamma), rows });
        const off = distance(
          await numbersOf(device, model.parameters),
          await numbersOf(device, plain.parameters),
        );
        expect(off).toBeLessThan(device.kind === 'reference' ? 1e-12 : 2e-6);
        for (const { microbatches } of results) {
          expect(microbatches[0]?.['weight/chosen'] ?? 1).toBe(1);
          expect(microbatches[0]?.['weight/rejected'] ?? 1).toBe(1);
        }
      });

      it(`4. L_V reaches no parameter of the model; ${name} and L_actor none of the value head`, async () => {
        const norms = await gradientNorms(device, await hpoOn(device, base), rows.slice(0, 4));
        expect(norms['value/model']).toBe(0);
        expect(norms['preference/head']).toBe(0);
        expect(norms['actor/head']).toBe(0);
        for (const own of ['value/head', 'preference/model', 'actor/model'])
          expect(norms[own], own).toBeGreaterThan(1e-3);
      });
    }

    it('3. τ = 0.5: L_V is half the mean squared error; another τ leans to one side', async () => {
      for (const tau of [0.5, 0.7, 0.2]) {
        const { model, loss } = await hpoOn(device, dpo(), { tau });
        // One pair a batch: its two completions share one V(x), which the metrics give.
        const keys = { per_device_train_batch_size: 1, max_steps: 5 };
        const results = await runToEnd({ model, device, loss, rows: pairs, keys });
        const expectile = results.map(({ microbatches: [one] }, i) => {
          const pair = pairs[i];
          const errors = [pair.chosen, pair.rejected].map(
            (c) => someReward(c).total - (one?.['value/mean'] ?? NaN),
          );
          const got = one?.['loss/value'];
          const half = errors.reduce((sum, e) => sum + 0.5 * e * e, 0) / 2;
          const leaning = errors.reduce((sum, e) => sum + Math.abs(tau - (e < 0 ? 1 : 0)) * e * e, 0) / 2;
          expect(got).toBeCloseTo(leaning, 6);
          if (tau === 0.5) expect(got).toBeCloseTo(half, 6);
          return { leaning, half };
        });
        if (tau !== 0.5)
          expect(expectile.some(({ leaning, half }) => Math.abs(leaning - half) > 0.01)).toBe(true);
      }
    });

    it('5. a rejected completion of high R becomes likelier, more so than one of low R', async () => {
      const [pair] = pairs as [TokenizedPair];
      const change = async (gamma: number, rejectedReward: number) => {
        const rewardOf: HpoOptions['rewardOf'] = (completion) => ({
          total: completion === pair.rejected ? rejectedReward : 0,
          each: {},
        });
        const { model, loss } = await hpoOn(device, dpo(), { gamma, rewardOf, weightClip: null });
        const rejected = async () => {
          const scorer = new Scorer(model, device);
          const sequence = { promptIds: pair.promptIds, completions: [pair.chosen.ids, pair.rejected.ids] };
          const [scores] = await scorer.score([sequence]);
          scorer.dispose();
          return scores?.[1]?.logp ?? NaN;
        };
        const before = await rejected();
        const keys = { max_steps: 2, learning_rate: 0.01, per_device_train_batch_size: 1 };
        const [first] = await runToEnd({ model, device, loss, rows: [pair], keys });
        return { change: (await rejected()) - before, first: first?.microbatches[0] ?? {} };
      };
      const high = await change(0.5, 1);
      expect(high.change).toBeGreaterThan(0);
      expect(high.first['weight/rejected']).toBeGreaterThan(high.first['weight/chosen'] ?? NaN);
      expect(high.first['weight/chosen']).toBeGreaterThan(0);
      expect((await change(0, 1)).change).toBeLessThan(0);
      const low = await change(0.5, -2);
      expect(low.first['weight/rejected']).toBeGreaterThan(0);
      expect(low.change).toBeLessThan(high.change);
    });

    it('leaves L_actor out of the first steps, logs it all the same, and clips exp(λA)', async () => {
      const { model, loss } = await hpoOn(device, dpo(), { gamma: 2, actorWarmupSteps: 2, weightClip: 1.5 });
      const loop = await openLoop({ model, device, loss, rows: pairs, keys: { max_steps: 4 } });
      let clipped = 0;
      for await (const { step, metrics, microbatches } of loop.steps()) {
        const [one] = microbatches;
        const without = (one?.['loss/preference'] ?? NaN) + 0.1 * (one?.['loss/value'] ?? NaN);
        const actor = one?.['loss/actor'] ?? NaN;
        expect(actor).toBeGreaterThan(0);
        expect(metrics['loss']).toBeCloseTo(without + (step > 2 ? 2 * actor : 0), 4);
        expect(Math.max(one?.['weight/chosen'] ?? NaN, one?.['weight/rejected'] ?? NaN)).toBeLessThan(
          1.500001,
        );
        clipped += one?.['weight/clipped'] ?? NaN;
      }
      expect(clipped).toBeGreaterThan(0);
      loop.dispose();
    });
  });
}

it('drops other units of the value head in each microbatch and step', async () => {
  const [device] = devices as [Device];
  const model = tinyModel(device);
  const valueHead = await startedHead(device, model, { dropout: 0.5 });
  const loss = hpo({ base: dpo(), valueHead, rewardOf: someReward });
  const [row] = pairs as [TokenizedPair];
  const keys = {
    per_device_train_batch_size: 1,
    gradient_accumulation_steps: 3,
    learning_rate: 0,
    max_steps: 2,
  };
  const loop = await openLoop({ model, device, loss, rows: [row, row, row], keys });
  const values: unknown[] = [];
  for await (const { microbatches } of loop.steps())
    values.push(...microbatches.map((metrics) => metrics['value/mean']));
  loop.dispose();
  // value_learning_rate moves the head a little too, but not by as much as dropout does.
  const distinct = new Set(values.map((value) => Number(value).toFixed(3)));
  expect(distinct.size).toBe(6);
});

it('starts the value head as PyTorch starts a Linear, its last bias at the mean reward', async () => {
  const [device] = devices as [Device];
  const model = tinyModel(device, tinyConfig('gpt2'));
  const head = await startedHead(device, model, { mean: 0.42 });
  const bound = 1 / Math.sqrt(model.hiddenSize);
  const numbers = await numbersOf(device, head.parameters);
  expect(numbers.at(-1)).toBeCloseTo(0.42, 6);
  const others = numbers.slice(0, -1);
  expect(Math.max(...others.map(Math.abs))).toBeLessThanOrEqual(bound);
  expect(Math.max(...others)).toBeGreaterThan(0.98 * bound);
  expect(Math.min(...others)).toBeLessThan(-0.98 * bound);
  expect(Math.abs(others.reduce((a, b) => a + b, 0) / others.length)).toBeLessThan(0.05 * bound);
});
