import { createHash } from 'node:crypto';
import type { Device } from '../../engine/index.ts';
import type { LanguageModel, Parameter } from '../../models/model.ts';
import { parseSettings } from '../../trainer/config.ts';
import { Random } from '../../trainer/data/random.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import type { HpoOptions } from '../../trainer/losses/hpo.ts';
import type { Loss } from '../../trainer/losses/loss.ts';
import type { StepResult } from '../../trainer/trainingLoop.ts';
import { TrainingLoop } from '../../trainer/trainingLoop.ts';
import { ValueHead } from '../../trainer/valueHead.ts';

// The training loop as a program uses it that holds the model and the rows itself.

export interface TinyRun {
  readonly model: LanguageModel;
  readonly device: Device;
  readonly loss: Loss;
  readonly rows: readonly TokenizedRow[];
  /** TRL's keys beside these: SGD with a constant rate of 0.1, without clipping, in the rows' order. */
  readonly keys?: Readonly<Record<string, unknown>>;
}

/** A reference that differs from the model, so that no log-ratio is 0. */
export const someReference = (row: TokenizedRow): number[] =>
  [-3, -4, -5].map((logp, i) => logp * (1 + ((row.origin.line * (i + 2)) % 5)));

export function openLoop({ model, device, loss, rows, keys = {} }: TinyRun): Promise<TrainingLoop> {
  const completions = (row: TokenizedRow) => loss.sequence(row).completions.length;
  return TrainingLoop.create({
    ...{ model, device, loss, rows },
    referenceOf: (row) => someReference(row).slice(0, completions(row)),
    settings: parseSettings({
      method: 'dpo',
      ...{ optim: 'sgd', learning_rate: 0.1, lr_scheduler_type: 'constant', max_grad_norm: 0, max_steps: 3 },
      ...{ train_sampling_strategy: 'sequential', per_device_train_batch_size: 2 },
      ...keys,
    }),
  });
}

/** Trains to the end and frees all that the loop took. */
export async function runToEnd(run: TinyRun): Promise<StepResult[]> {
  const loop = await openLoop(run);
  const results: StepResult[] = [];
  for await (const result of loop.steps()) results.push(result);
  loop.dispose();
  return results;
}

/** A value head that starts at PyTorch's Linear initialisation, from a seed. */
export async function startedHead(
  device: Device,
  { hiddenSize }: LanguageModel,
  { dropout = 0, mean = 0.3 } = {},
): Promise<ValueHead> {
  const head = new ValueHead(hiddenSize, dropout);
  const random = new Random(17);
  await head.start(device, { uniform: () => random.uniform(), mean });
  return head;
}

/** A reward from 0 to 1 that has nothing to do with the preference. */
export const someReward: HpoOptions['rewardOf'] = ({ ids }) => {
  const total = (ids.reduce((a, b) => a + b, 0) % 11) / 10;
  return { total, each: { some: total } };
};

/** All numbers of the parameters, one after the other. */
export async function numbersOf(device: Device, parameters: readonly Parameter[]): Promise<number[]> {
  const all: number[] = [];
  for (const { variable } of parameters) all.push(...(await device.read(variable)));
  return all;
}

/** A hash of numbers' bits, so that a failing test prints a line and not a model. */
export const bitsOf = (numbers: readonly number[]): string =>
  createHash('sha256')
    .update(new Uint8Array(Float64Array.from(numbers).buffer))
    .digest('hex');

/** The largest difference, relative to the largest number. */
export function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Infinity;
  const scale = Math.max(...b.map(Math.abs));
  return a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] ?? NaN))), 0) / scale;
}
