import type { Device } from '../../engine/index.ts';
import { compile, f32, grad } from '../../engine/index.ts';
import { STATISTICS } from '../../engine/ops/tokenLogProbs.ts';
import { Random } from '../../trainer/data/random.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import type { Loss } from '../../trainer/losses/loss.ts';
import type { Microbatch } from '../../trainer/step.ts';
import { microbatch } from '../../trainer/step.ts';
import { capacityOf, packedTypes, sumByCompletion } from '../../trainer/pack.ts';
import { normalOf } from './tinyModel.ts';

// A loss without a model: log-probs of tokens are numbers, so its graph can be tried by itself.

export interface LossInputs {
  readonly batch: Microbatch;
  /** log p of each label. */
  readonly tokenLogps: Float64Array;
  /** [labels, 4] */
  readonly statistics: Float64Array;
}

/** Log-probs from −0.2 to −3, and Σp² between p² and 1. */
export function drawInputs(
  loss: Loss,
  rows: readonly TokenizedRow[],
  referenceOf: (row: TokenizedRow) => readonly number[],
  seed: number,
): LossInputs {
  const batch = microbatch(rows, loss, referenceOf);
  const random = new Random(seed);
  const normal = normalOf(random);
  const tokenLogps = Float64Array.from(batch.packed.labels, () => -0.2 - 0.7 * Math.abs(normal()));
  const statistics = new Float64Array(tokenLogps.length * STATISTICS.length);
  tokenLogps.forEach((logp, i) => {
    const square = Math.exp(2 * logp);
    statistics[i * STATISTICS.length] = square + (1 - square) * 0.5 * random.uniform();
  });
  return { batch, tokenLogps, statistics };
}

/** A loss's graph for batches of up to `batchSize` of these rows, on a device. */
export async function loadLoss(
  device: Device,
  loss: Loss,
  rows: readonly TokenizedRow[],
  batchSize = rows.length,
) {
  const capacity = capacityOf(
    rows.map((row) => loss.sequence(row)),
    batchSize,
  );
  const { owners, lengths } = packedTypes(capacity);
  const types = {
    ...{ owners, lengths },
    tokenLogps: f32([capacity.labels], 'labels'),
    statistics: f32([capacity.labels, STATISTICS.length], 'labels'),
    referenceLogps: f32([capacity.completions], 'completions'),
    hidden: f32([capacity.tokens, 1], 'tokens'),
  };
  const own = loss.inputTypes(capacity);
  const program = compile('loss', { ...types, ...own }, (given) => {
    const { tokenLogps } = given;
    const graph = loss.build({
      ...given,
      logps: sumByCompletion(tokenLogps, given),
      inputs: given,
    });
    const outputs = { logps: sumByCompletion(tokenLogps, given), ...graph.outputs };
    return { outputs: { ...outputs, loss: graph.loss, gradient: grad(graph.loss, [tokenLogps])[0] } };
  });
  const executable = await device.load(program);
  return {
    /** The loss, its gradient by each label's log-prob, and its metrics. */
    async run({ batch, tokenLogps, statistics }: LossInputs) {
      const { packed, referenceLogps } = batch;
      const results = await executable.run({
        ...{ owners: packed.owners, lengths: packed.lengths, tokenLogps, statistics, referenceLogps },
        hidden: new Float64Array(packed.tokens.length),
        ...loss.inputs(batch, 1, 0),
      });
      const { loss: value, gradient, logps, ...outputs } = results;
      const numbers = { loss: value?.[0] ?? NaN, logps: logps ?? [], referenceLogps, outputs };
      return {
        loss: numbers.loss,
        gradient: gradient ?? [],
        metrics: loss.metrics(batch, numbers),
      };
    },
    dispose: () => executable.dispose(),
  };
}

/** Sums of a number of each label over each completion. */
export function sums({ batch }: LossInputs, perLabel: (label: number) => number): number[] {
  const { owners, lengths } = batch.packed;
  const totals = Array.from(lengths, () => 0);
  owners.forEach((owner, label) => (totals[owner] = (totals[owner] ?? 0) + perLabel(label)));
  return totals;
}
