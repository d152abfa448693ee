import { afterAll, describe, expect, it } from 'vitest';
import type { Op, Sample } from '../../engine/op.ts';
import type { MatmulAttrs } from '../../engine/ops/matmul.ts';
import { matmulOp } from '../../engine/ops/matmul.ts';
import { tokenLogProbsGradOp, tokenLogProbsOp } from '../../engine/ops/tokenLogProbs.ts';
import { ReferenceDevice } from '../../engine/reference/device.ts';
import { drawInputs, named, random, relativeError, runOnce, sampleProgram } from './samples.ts';
import { onEach, openVariants } from './wasmVariants.ts';

// Around the edges of register tiles (4, 6 or 8 by 8), of blocks (96 or 192 rows, 384 of k) and of the paths for few rows.
const ROWS = [1, 2, 3, 5, 6, 7, 8, 9, 16, 24, 25, 31, 48, 95, 96, 97, 101, 191, 193];
const INNER = [1, 2, 3, 7, 8, 31, 64, 100, 383, 384, 385, 400];

interface Case {
  readonly title: string;
  readonly sample: Sample<MatmulAttrs>;
}

function randomProduct(next: () => number): Case {
  const pick = (from: readonly number[]): number => from[Math.floor(next() * from.length)] ?? 1;
  const [m, n, k] = [pick(ROWS), pick(ROWS), pick(INNER)];
  const [transposeA, transposeB] = [next() < 0.4, next() < 0.5];
  const [bias, accumulate] = [next() < 0.4, next() < 0.4];
  // Counted rows are a's, or in aᵀ · b those summed over.
  const counted = next() < 0.4 && !(transposeA && transposeB);
  const capacity = transposeA ? k : m;
  const count = counted ? pick([0, 1, capacity - 1, Math.ceil(capacity / 2)]) : capacity;
  const rows = counted ? 'tokens' : undefined;
  const ofProduct = transposeA ? undefined : rows;
  return {
    title: `[${m}, ${k}]${transposeA ? 'ᵀ' : ''} × [${k}, ${n}]${transposeB ? 'ᵀ' : ''}${bias ? ' + bias' : ''}${accumulate ? ' + base' : ''}, ${count} of ${capacity} rows`,
    sample: {
      attrs: { transposeA, transposeB, bias, accumulate: accumulate ? [0] : [] },
      inputs: [
        { shape: transposeA ? [k, m] : [m, k], rows },
        { shape: transposeB ? [n, k] : [k, n], rows: transposeA ? rows : undefined },
        ...(bias ? [{ shape: [n] }] : []),
        ...(accumulate ? [{ shape: [m, n], rows: ofProduct }] : []),
      ],
      counts: { tokens: count },
    },
  };
}

describe('products of any shape', async () => {
  const reference = new ReferenceDevice();
  const devices = await openVariants();
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });

  async function compare(op: Op, sample: Sample, seed: number, tolerance: number): Promise<void> {
    const program = sampleProgram(op, sample, false);
    const inputs = named(drawInputs(sample, seed));
    const want = await runOnce(reference, program, inputs);
    for (const { name, got, first } of await onEach(devices, (device) => runOnce(device, program, inputs))) {
      for (const [output, numbers] of Object.entries(want))
        expect(relativeError(got[output] ?? new Float32Array(), numbers), `${output}, ${name}`).toBeLessThan(
          tolerance,
        );
      expect(got, `threads and tiles change no bit, ${name}`).toEqual(first);
    }
  }

  const next = random(2024);
  for (let i = 0; i < 40; i++) {
    const { title, sample } = randomProduct(next);
    it(`matmul ${title}`, () => compare(matmulOp as Op, sample, i + 1, 2e-5));
  }

  // Vocabularies of one block, of several groups, and of several chunks of the gradient.
  for (const [n, c, v, count] of [
    [1, 3, 2, 1],
    [9, 33, 97, 0],
    [70, 64, 1101, 63],
    [33, 20, 7001, 33],
    [250, 40, 300, 250],
  ] as const) {
    const head = [{ shape: [n, c], rows: 'heads' }, { shape: [v, c] }, { shape: [n], int: v, rows: 'heads' }];
    const perRow = { shape: [n], rows: 'heads' };
    const counts = { heads: count };
    it(`tokenLogProbs of ${count} of ${n} rows, C ${c}, V ${v}`, () =>
      compare(tokenLogProbsOp as Op, { attrs: { statistics: true }, inputs: head, counts }, v, 3e-5));
    it(`tokenLogProbsGrad of ${count} of ${n} rows, C ${c}, V ${v}`, () => {
      // Log-sum-exps well above the logits, so that probabilities are of the size of 1 / V.
      const lse = { ...perRow, values: Array.from({ length: n }, (_, i) => 20 + (i % 7)) };
      return compare(
        tokenLogProbsGradOp,
        { attrs: { accumulate: [] }, inputs: [...head, lse, perRow], counts },
        v,
        3e-5,
      );
    });
  }
});
