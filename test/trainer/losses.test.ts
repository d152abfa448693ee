import { afterAll, describe, expect, it } from 'vitest';
import { ReferenceDevice, WasmDevice } from '../../engine/index.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import * as losses from '../../trainer/losses/index.ts';
import { drawInputs, loadLoss } from './lossBatch.ts';
import { cases, near, unpaired } from './lossCases.ts';

// Every loss against its equation, and its gradient against differences of its values.

const reference = new ReferenceDevice();
const wasm = await WasmDevice.create({ threads: 1 });
afterAll(async () => {
  await reference.dispose();
  await wasm.dispose();
});

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
        const [want, got] = [reference, wasm].map(async (on) => {
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
