import { Random } from '../../trainer/data/random.ts';
import type { StepShape } from '../gptStep.ts';
import type { Effort } from '../measure.ts';
import { measure } from '../measure.ts';
import { checkLosses, stepData } from '../stepData.ts';
import { jaxGemm, jaxStep } from './jaxJs.ts';
import { onnxGemm } from './onnx.ts';
import type { Peer } from './packages.ts';
import { tensorFlowGemm, tensorFlowStep } from './tensorFlow.ts';

const gemms = { 'jax-js': jaxGemm, tfjs: tensorFlowGemm, onnxruntime: onnxGemm };
const steps = { 'jax-js': jaxStep, tfjs: tensorFlowStep };
export type StepPeer = keyof typeof steps;
export const STEP_PEERS = Object.keys(steps) as StepPeer[];

/** Seconds of another library's matrix product of n × n. */
export async function timePeerGemm(
  peer: Peer,
  n: number,
  threads: number,
  effort: Effort,
): Promise<number[]> {
  const random = new Random(1);
  const [a, b] = [0, 1].map(() => Float32Array.from({ length: n * n }, () => random.uniform() - 0.5));
  return measure(`${peer} gemm`, await gemms[peer](n, a, b, threads), effort);
}

/** Seconds of another library's training step. Errors: it does not compute the step that prefgrad does. */
export async function timePeerStep(peer: StepPeer, shape: StepShape, effort: Effort): Promise<number[]> {
  const data = await stepData(shape);
  const run = await steps[peer](data);
  const losses: number[] = [];
  while (losses.length < data.losses.length) losses.push(await run());
  checkLosses(peer, data, losses);
  return measure(`${peer} step`, run, { ...effort, samples: 3, warmups: 0 });
}
