import { WebGpuDevice, ReferenceDevice, ops } from '../../engine/index.ts';
import {
  drawInputs,
  drawWeights,
  named,
  poison,
  reductionLength,
  relativeError,
  runOnce,
  sampleProgram,
} from '../engine/samples.ts';

/** Samples of ops by name and number. */
export type OpsJob = readonly (readonly [op: string, sample: number])[];

export interface OpChecked {
  /** The op's sample and the output or gradient. */
  readonly name: string;
  /** Over the tolerance of the tests in Node: more than 1 is too much. */
  readonly error: number;
}

/** Computes samples of ops and their gradients on WebGPU and on the reference backend. */
export async function run(job: OpsJob): Promise<OpChecked[]> {
  const reference = new ReferenceDevice();
  const device = await WebGpuDevice.create();
  const checked: OpChecked[] = [];
  for (const [name, number] of job) {
    const op = ops.find((o) => o.name === name);
    const sample = op?.samples[number];
    if (op === undefined || sample === undefined) throw new Error(`there is no sample ${number} of ${name}`);
    const gradients = op.gradient !== undefined;
    const program = sampleProgram(op, sample, gradients);
    const inputs = {
      ...named(drawInputs(sample, number + 1)),
      ...(gradients ? drawWeights(op, sample) : {}),
    };
    const want = await runOnce(reference, program, inputs);
    await poison(device);
    const got = await runOnce(device, program, inputs);
    const tolerance = 2e-6 * Math.sqrt(reductionLength(sample)) + 1e-6;
    for (const [output, numbers] of Object.entries(want))
      checked.push({
        name: `${name} ${number}: ${output}`,
        error: relativeError(got[output] ?? new Float32Array(), numbers) / tolerance,
      });
  }
  await device.dispose();
  return checked;
}
