import type { Tensor } from '../../engine/graph.ts';
import { applyAll } from '../../engine/graph.ts';
import type { Device, InputNumbers, Numbers } from '../../engine/backend.ts';
import { compile } from '../../engine/compile.ts';
import { grad } from '../../engine/grad.ts';
import type { Op, Sample, SampleInput } from '../../engine/op.ts';
import { add, affine, exp, mul } from '../../engine/ops/elementwise.ts';
import { reshape } from '../../engine/ops/layout.ts';
import { sum } from '../../engine/ops/reduce.ts';
import type { TensorType } from '../../engine/shape.ts';
import { bf16, f32, i32, sizeOf, trueShape } from '../../engine/shape.ts';

/** A seeded uniform generator (mulberry32). */
export function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const typeOf = (s: SampleInput): TensorType =>
  s.int !== undefined || s.dtype === 'i32'
    ? i32(s.shape, s.rows)
    : s.dtype === 'bf16'
      ? bf16(s.shape)
      : f32(s.shape, s.rows);

export const countsOfSample = (sample: Sample): Map<string, number> =>
  new Map(Object.entries(sample.counts ?? {}));

/** Numbers for a sample's inputs, in the true shapes of its counts. */
export function drawInputs(sample: Sample, seed = 1): InputNumbers[] {
  const next = random(seed);
  const counts = countsOfSample(sample);
  return sample.inputs.map((s) => {
    const n = sizeOf(trueShape(typeOf(s), counts));
    const numbers = Array.from({ length: n }, (_, i) => {
      if (s.values) return s.values[i] ?? 0;
      if (s.int !== undefined) return Math.floor(next() * s.int);
      return s.positive ? 0.2 + 1.5 * next() : (next() - 0.5) * 3;
    });
    return typeOf(s).dtype === 'i32' ? Int32Array.from(numbers) : Float64Array.from(numbers, Math.fround);
  });
}

const nameOf = (i: number): string => `input${i}`;

/**
 * A program of one op on a sample: its outputs, and with `gradients` those of Σ weight · output with respect to each
 * float input. `weights` has one array per output, given as further inputs.
 */
export function sampleProgram(op: Op, sample: Sample, gradients: boolean) {
  const types = Object.fromEntries(sample.inputs.map((s, i) => [nameOf(i), typeOf(s)]));
  const outputTypes = op.shape(Object.values(types), sample.attrs);
  const weightTypes = gradients
    ? Object.fromEntries(outputTypes.map((t, i) => [`weight${i}`, f32(t.shape, t.rows)]))
    : {};
  return compile(op.name, { ...types, ...weightTypes }, (given) => {
    const inputs = sample.inputs.map((_, i) => given[nameOf(i)]);
    const outputs = applyAll(op, inputs, sample.attrs);
    const internal = op.internal?.(sample.attrs) ?? [];
    const named: Record<string, Tensor> = Object.fromEntries(
      outputs.flatMap((t, i) => (internal.includes(i) ? [] : [[`output${i}`, t] as const])),
    );
    if (gradients) {
      const terms = outputs
        .filter((_, i) => differentiable(op, i))
        .map((t, i) => sum(reshape(mul(t, given[`weight${i}`]), t.shape)));
      const loss = terms.reduce(add);
      named['loss'] = loss;
      const floats = inputs.filter((t) => t.dtype === 'f32');
      const grads = grad(loss, floats);
      floats.forEach((t, i) => (named[`grad${inputs.indexOf(t)}`] = grads[i]));
    }
    return { outputs: named };
  });
}

/** Outputs whose gradient an op defines: statistics that a kernel saves for its backward are not. */
export function differentiable(op: Op, output: number): boolean {
  const first = ['attention', 'layerNorm', 'rmsNorm', 'tokenLogProbs'];
  return output === 0 || !first.includes(op.name);
}

export function drawWeights(op: Op, sample: Sample): Record<string, Float64Array> {
  const next = random(7);
  const counts = countsOfSample(sample);
  const types = op.shape(sample.inputs.map(typeOf), sample.attrs);
  return Object.fromEntries(
    types.map((t, i) => [
      `weight${i}`,
      Float64Array.from({ length: sizeOf(trueShape(t, counts)) }, () => Math.fround(next() - 0.5)),
    ]),
  );
}

export const named = (inputs: readonly InputNumbers[]): Record<string, InputNumbers> =>
  Object.fromEntries(inputs.map((x, i) => [nameOf(i), x]));

/** Runs one program once and unloads it. */
export async function runOnce(
  device: Device,
  program: ReturnType<typeof sampleProgram>,
  inputs: Record<string, InputNumbers>,
): Promise<Record<string, Numbers>> {
  const executable = await device.load(program);
  const outputs = await executable.run(inputs);
  executable.dispose();
  return outputs;
}

/** max |got − want| / max |want|. */
export function relativeError(got: Numbers, want: Numbers): number {
  let [worst, scale] = [0, 1e-30];
  want.forEach((w, i) => {
    worst = Math.max(worst, Math.abs((got[i] ?? NaN) - w));
    if (Number.isNaN(got[i])) worst = Infinity;
    scale = Math.max(scale, Math.abs(w));
  });
  return got.length === want.length ? worst / scale : Infinity;
}

/** Length of the longest sum in the op, which the tolerance grows with. */
export const reductionLength = (sample: Sample): number =>
  Math.max(...sample.inputs.map((s) => Math.max(1, ...s.shape)), 1);

/** Leaves NaN all over the arena that programs share, so that reading what was not written shows. */
export async function poison(device: Device): Promise<void> {
  const [n, type] = [1 << 20, f32([1 << 20])];
  const program = compile('poison', { x: type }, ({ x }) => ({ outputs: { y: exp(affine(x, 2)) } }));
  const executable = await device.load(program);
  await executable.run({ x: new Float32Array(n).fill(NaN) });
  executable.dispose();
}
