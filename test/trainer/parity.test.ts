import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice, compile, f32, grad, mul, sum } from '../../engine/index.ts';
import type { LanguageModel } from '../../models/model.ts';
import { Random } from '../../trainer/data/random.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import { dpo } from '../../trainer/losses/dpo.ts';
import { hpo } from '../../trainer/losses/hpo.ts';
import { kto } from '../../trainer/losses/kto.ts';
import type { Loss } from '../../trainer/losses/loss.ts';
import { sft } from '../../trainer/losses/sft.ts';
import type { PackedBatch } from '../../trainer/pack.ts';
import { pack, packedTypes } from '../../trainer/pack.ts';
import { logProbs } from '../../trainer/score.ts';
import { judged, tinyConfig, tinyModel, tokenPairs } from './tinyModel.ts';
import { bitsOf, distance, numbersOf, runToEnd, someReward, startedHead } from './tinyRun.ts';

// The same training in two ways: threads, microbatches, packing.

const open: Device[] = [];
const opened = <D extends Device>(device: D): D => {
  open.push(device);
  return device;
};
afterAll(async () => {
  for (const device of open) await device.dispose();
});

const hpoOn = async (base: Loss, device: Device, model: LanguageModel, dropout = 0): Promise<Loss> =>
  hpo({
    base,
    valueHead: await startedHead(device, model, { dropout }),
    rewardOf: someReward,
    actorWarmupSteps: 1,
  });

type MakeLoss = (device: Device, model: LanguageModel) => Promise<Loss>;

describe('one thread and two', () => {
  /** Large enough that matrix products, attention and the head are split into many tasks. */
  const wide = { vocab_size: 601, hidden_size: 72, n_embd: 72, intermediate_size: 200 };
  const pairs = tokenPairs(10, 3, 601);
  const cases: [string, 'llama' | 'gpt2' | 'qwen2', readonly TokenizedRow[], MakeLoss][] = [
    ['llama by DPO', 'llama', pairs, async () => dpo()],
    ['gpt2 by KTO', 'gpt2', judged(pairs), async () => kto()],
    ['qwen2 by HPO', 'qwen2', pairs, (device, model) => hpoOn(dpo(), device, model, 0.1)],
  ];
  for (const simd of ['plain', 'relaxed'] as const)
    it(`train to the same bits with ${simd} SIMD`, async () => {
      const devices: Device[] = [];
      for (const threads of [1, 2]) devices.push(opened(await WasmDevice.create({ threads, simd })));
      for (const [name, type, rows, makeLoss] of cases) {
        const results = [];
        for (const device of devices) {
          const model = tinyModel(device, tinyConfig(type, wide));
          const loss = await makeLoss(device, model);
          const keys = {
            optim: 'adamw',
            learning_rate: 0.003,
            max_grad_norm: 1,
            per_device_train_batch_size: 5,
          };
          const steps = await runToEnd({ model, device, loss, rows, keys: { ...keys, max_steps: 4 } });
          results.push({
            metrics: steps.map(({ metrics, microbatches }) => ({
              ...{ ...metrics, 'memory/bytes': 0 },
              ...microbatches[0],
            })),
            bits: bitsOf(await numbersOf(device, [...model.parameters, ...(loss.parameters ?? [])])),
          });
        }
        expect(results[1], name).toEqual(results[0]);
      }
    });
});

describe('four rows at once and one by one', () => {
  const pairs = tokenPairs(8, 5);
  const losses: [string, MakeLoss][] = [
    ['DPO', async () => dpo({ beta: 0.3 })],
    ['HPO on DPO', (device, model) => hpoOn(dpo({ beta: 0.3 }), device, model)],
    ['SFT', async () => sft()],
  ];
  for (const [name, makeLoss] of losses)
    for (const kind of ['reference', 'wasm'] as const)
      it(`${name}: 4 × 1 = 1 × 4 accumulated on ${kind}`, async () => {
        const device = opened(
          kind === 'reference' ? new ReferenceDevice() : await WasmDevice.create({ threads: 1 }),
        );
        const run = async (batch: number) => {
          const model = tinyModel(device);
          const loss = await makeLoss(device, model);
          const steps = await runToEnd({
            ...{ model, device, loss, rows: pairs },
            keys: {
              per_device_train_batch_size: batch,
              gradient_accumulation_steps: 4 / batch,
              learning_rate: 0.005,
              max_steps: 4,
            },
          });
          const parameters = [...model.parameters, ...(loss.parameters ?? [])];
          return { steps, numbers: await numbersOf(device, parameters) };
        };
        const [whole, two, single] = [await run(4), await run(2), await run(1)];
        const tolerance = kind === 'reference' ? 1e-12 : 1e-6;
        for (const other of [two, single]) {
          expect(distance(other.numbers, whole.numbers)).toBeLessThan(tolerance);
          other.steps.forEach(({ metrics, tokens, epochEnd }, i) => {
            const want = whole.steps[i];
            expect(tokens).toBe(want?.tokens);
            expect(epochEnd).toBe(want?.epochEnd);
            for (const key of ['loss', 'grad_norm', 'num_tokens', 'epoch', 'learning_rate']) {
              const [got, expected] = [metrics[key] ?? NaN, want?.metrics[key] ?? NaN];
              expect(Math.abs(got - expected) / Math.max(Math.abs(expected), 1), key).toBeLessThan(tolerance);
            }
          });
        }
      });
});

describe('a packed pair', () => {
  const random = new Random(8);
  const ids = (length: number) => Array.from({ length }, () => random.below(257));
  const sequences = [
    { promptIds: ids(23), completions: [ids(31), ids(7)] },
    { promptIds: ids(1), completions: [ids(1), ids(40), ids(12)] },
  ];
  /** Each completion with a copy of its prompt, as one segment of its own. */
  function unpacked(): PackedBatch {
    const [tokens, positions, segments, rows, labels, owners, lengths]: number[][] = [
      [],
      [],
      [],
      [],
      [],
      [],
      [],
    ];
    for (const { promptIds, completions } of sequences)
      for (const completion of completions) {
        const start = tokens.length;
        const whole = [...promptIds, ...completion];
        segments.push(start, whole.length, start, whole.length, 0, 0);
        tokens.push(...whole);
        positions.push(...whole.keys());
        completion.forEach((id, i) => {
          rows.push(start + promptIds.length + i - 1);
          labels.push(id);
          owners.push(lengths.length);
        });
        lengths.push(completion.length);
      }
    return {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(positions),
      segments: Int32Array.from(segments),
      rows: Int32Array.from(rows),
      labels: Int32Array.from(labels),
      owners: Int32Array.from(owners),
      lengths: Float32Array.from(lengths),
    };
  }

  for (const kind of ['reference', 'wasm'] as const)
    for (const type of ['llama', 'gpt2', 'qwen2'] as const)
      it(`gives the log-probs and gradients of separate sequences: ${type} on ${kind}`, async () => {
        const device = opened(
          kind === 'reference' ? new ReferenceDevice() : await WasmDevice.create({ threads: 1 }),
        );
        const model = tinyModel(device, tinyConfig(type));
        const run = async (batch: PackedBatch) => {
          const capacity = {
            tokens: batch.tokens.length,
            segments: batch.segments.length / 6,
            labels: batch.labels.length,
            completions: batch.lengths.length,
            sequences: sequences.length,
          };
          const types = { ...packedTypes(capacity), weights: f32([capacity.completions], 'completions') };
          const program = compile('pair', types, (inputs) => {
            const { logps, tokenLogps } = logProbs(model, inputs);
            const parameters = model.parameters.map((p) => p.variable.tensor);
            const gradients = grad(sum(mul(logps, inputs.weights)), parameters);
            return { outputs: { logps, tokenLogps, ...Object.fromEntries(gradients.entries()) } };
          });
          const executable = await device.load(program);
          const outputs = await executable.run({ ...batch, weights: [1, -0.7, 0.4, 1.3, -1] });
          executable.dispose();
          return outputs;
        };
        const [got, want] = [await run(pack(sequences)), await run(unpacked())];
        expect(Object.keys(got).length).toBe(2 + model.parameters.length);
        for (const [name, numbers] of Object.entries(want))
          expect(distance([...(got[name] ?? [])], [...numbers]), name).toBeLessThan(
            kind === 'reference' ? 1e-12 : 3e-6,
          );
      });
});
