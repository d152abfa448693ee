import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WasmDevice } from '../engine/index.ts';
import { GptStep } from './gptStep.ts';
import type { StepShape } from './gptStep.ts';

/** What another library needs to make the very same training steps, and what it must get. */
export interface StepData {
  readonly shape: StepShape;
  /** [batch · length] */
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
  /** Under Transformers' names; a layer's weights are [inputs, outputs]. */
  readonly weights: ReadonlyMap<
    string,
    { readonly shape: readonly number[]; readonly numbers: Float32Array }
  >;
  readonly learningRate: number;
  /** Of the first steps, each before its update, in nats. */
  readonly losses: readonly number[];
}

/** Where they are written for Python. */
export const STEP_DATA = join('bench', 'build', 'step');

const STEPS = 3;
/** How far another library's losses may be from ours, in nats: all compute in float32, in other orders. */
export const LOSS_TOLERANCE = 2e-3;

/** The weights and the batch that `gpt-step` starts with, and its losses. */
export async function stepData(shape: StepShape): Promise<StepData> {
  const device = await WasmDevice.create({ threads: 1 });
  try {
    const step = await GptStep.load(shape, device);
    const weights = new Map<string, { shape: readonly number[]; numbers: Float32Array }>();
    for (const { variable } of step.parameters)
      weights.set(variable.name, { shape: variable.type.shape, numbers: await device.read(variable) });
    const losses: number[] = [];
    for (let i = 0; i < STEPS; i++) losses.push(await step.run());
    const { tokens, labels, learningRate } = step;
    return { shape, tokens, labels, weights, learningRate, losses };
  } finally {
    await device.dispose();
  }
}

/** Errors: losses that say that `name` computes something else. */
export function checkLosses(name: string, { losses }: StepData, got: readonly number[]): void {
  const far = losses.findIndex((loss, i) => !(Math.abs(loss - (got[i] ?? NaN)) < LOSS_TOLERANCE));
  if (far >= 0)
    throw new Error(
      `${name} makes another step than prefgrad: loss ${got[far]} at step ${far + 1}, not ${losses[far]}`,
    );
}

/** Writes the data for programs in other languages: step.json, and step.bin with the weights in its order. */
export async function writeStepData(folder: string, data: StepData): Promise<void> {
  const { tokens, labels, learningRate, losses } = data;
  const { layers, width, heads, length, batch, vocab } = data.shape;
  const shape = { layers, width, heads, length, batch, vocab };
  const weights = [...data.weights].map(([name, { shape: sizes }]) => ({ name, shape: sizes }));
  const json = { ...{ shape, learningRate, losses, weights }, tokens: [...tokens], labels: [...labels] };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'step.json'), JSON.stringify({ ...json, tolerance: LOSS_TOLERANCE }));
  const bytes = [...data.weights.values()].map(
    ({ numbers }) => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
  );
  await writeFile(join(folder, 'step.bin'), Buffer.concat(bytes));
}
