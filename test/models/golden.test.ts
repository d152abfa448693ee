import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Device, Tensor } from '../../engine/index.ts';
import {
  ReferenceDevice,
  WasmDevice,
  compile,
  gatherRows,
  globalNorm,
  grad,
  i32,
  linear,
  neg,
  optimize,
  hyperValues,
  momentsOf,
  Variable,
  f32,
  tokenLogProbs,
  mean,
  minimum,
  div,
  affine,
  fill,
  reshape,
} from '../../engine/index.ts';
import { openReference } from '../../models/files/open.node.ts';
import { openSafetensors } from '../../models/files/safetensors.ts';
import { openFileSource } from '../../models/files/source.node.ts';
import { loadWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { noWebGpu, openWebGpu } from '../engine/webgpu.ts';
import { needsShared, shared } from '../shared.ts';

/** Sequences and tokens of golden.safetensors' input_ids. */
const [B, T] = [3, 37];
const fixtures = shared('fixtures/models');

async function open(name: string, device: Device) {
  const folder = `${fixtures}/${name}`;
  const files = await openReference(folder);
  const model = createModel(files.config);
  await loadWeights(model, files, device);
  await files.close();
  const golden = await openSafetensors(await openFileSource(`${folder}/golden.safetensors`));
  onTestFinished(() => golden.close());
  const ids = Int32Array.from(await golden.readFloat64('input_ids'));
  const meta = JSON.parse(readFileSync(`${folder}/meta.json`, 'utf8')) as {
    adamw: { lr: number; betas: [number, number]; eps: number; weight_decay: number; max_grad_norm: number };
    train: { loss: number; grad_norm: number; learning_rate: number }[];
  };
  /** The packed batch, and every token but a sequence's last as a row of the head. */
  const batch = {
    tokens: ids,
    positions: Int32Array.from(ids, (_, i) => i % T),
    segments: Int32Array.from(Array.from({ length: B }, (_, b) => [b * T, T, b * T, T, 0, 0]).flat()),
    rows: Int32Array.from(ids.keys()).filter((i) => i % T < T - 1),
    labels: ids.filter((_, i) => i % T > 0),
  };
  const types = {
    ...modelInputTypes(B * T, B),
    rows: i32([B * (T - 1)], 'heads'),
    labels: i32([B * (T - 1)], 'heads'),
  };
  const forward = (inputs: { [K in keyof typeof types]: Tensor }) => {
    const hidden = model.hidden(inputs);
    const logps = tokenLogProbs(gatherRows(hidden, inputs.rows), model.head.tensor, inputs.labels);
    return { hidden, logps, loss: neg(mean(logps)) };
  };
  return { model, golden, meta, batch, types, forward };
}

const worst = (got: ArrayLike<number>, want: Float64Array): number => {
  let [off, scale] = [0, 1e-30];
  want.forEach((w, i) => {
    off = Math.max(off, Math.abs((got[i] ?? NaN) - w));
    scale = Math.max(scale, Math.abs(w));
  });
  return got.length === want.length ? off / scale : Infinity;
};

const backends: Record<string, () => Promise<Device>> = {
  reference: async () => new ReferenceDevice(),
  'wasm, relaxed SIMD, two threads': () => WasmDevice.create({ threads: 2 }),
  'wasm, plain SIMD': () => WasmDevice.create({ threads: 1, simd: 'plain' }),
};

for (const [name, openBackend] of Object.entries(backends))
  describe.skipIf(!fixtures)(`models agree with Transformers on ${name} ${needsShared}`, () => {
    agreement(openBackend);
  });

describe.skipIf(!fixtures || noWebGpu !== '')(
  `models agree with Transformers on webgpu ${needsShared} ${noWebGpu}`,
  () => {
    agreement(openWebGpu);
  },
);

/** Logits, gradients and 12 steps of each model on a device. */
function agreement(openDevice: () => Promise<Device>): void {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => device.dispose());
  for (const name of ['gpt2', 'llama', 'qwen2']) {
    it(`${name}: logits, loss and every gradient`, async () => {
      const tolerance = device.kind !== 'reference' ? 1e-4 : name === 'gpt2' ? 1e-9 : 1e-5;
      const { model, golden, batch, types, forward } = await open(name, device);
      const { rows, labels, ...inputs } = batch;
      const program = compile('golden', types, (given) => {
        const { hidden, logps, loss } = forward(given);
        const grads = grad(
          loss,
          model.parameters.map((p) => p.variable.tensor),
        );
        return {
          outputs: {
            loss,
            logps,
            logits: linear(hidden, model.head.tensor),
            ...Object.fromEntries(model.parameters.map((p, i) => [p.variable.name, grads[i]])),
          },
        };
      });
      const executable = await device.load(program);
      const outputs = await executable.run({ ...inputs, rows, labels });
      const check = async (key: string, tensor: string, within = tolerance) =>
        expect(worst(outputs[key] ?? [], await golden.readFloat64(tensor)), tensor).toBeLessThan(within);
      // The fixture keeps the loss in float32.
      expect(worst(outputs['loss'] ?? [], await golden.readFloat64('loss'))).toBeLessThan(
        Math.max(tolerance, 1e-6),
      );
      await check('logps', 'token_logps');
      await check('logits', 'logits');
      // Transformers takes the cross-entropy of float32 logits, so its float64 gradients are good to some 1e-8.
      const gradTolerance = Math.max(tolerance, 1e-7);
      for (const { variable } of model.parameters)
        await check(variable.name, `grad.${variable.name}`, gradTolerance);
      executable.dispose();
    });

    it(`${name}: 12 steps of AdamW`, async () => {
      const { model, meta, batch, types, forward } = await open(name, device);
      const { adamw: config } = meta;
      const moments = model.parameters.map((p) =>
        Array.from(
          { length: momentsOf.adamw },
          (_, i) => new Variable(`${p.variable.name}.${i}`, p.variable.type),
        ),
      );
      const program = compile('step', { ...types, hyper: f32([9]) }, (given) => {
        const { loss } = forward(given);
        const grads = grad(
          loss,
          model.parameters.map((p) => p.variable.tensor),
        );
        const norm = globalNorm(grads);
        const scale = minimum(
          div(fill(f32([]), config.max_grad_norm), affine(norm, 1, 1e-6)),
          fill(f32([]), 1),
        );
        const updates = model.parameters.flatMap(({ variable }, i) => {
          const variables = [variable, ...(moments[i] ?? [])];
          const values = optimize(
            'adamw',
            variable.tensor,
            grads[i],
            (moments[i] ?? []).map((m) => m.tensor),
            given.hyper,
            scale,
            true,
          );
          return variables.map((v, j) => ({ variable: v, value: values[j] }));
        });
        return { outputs: { loss, norm: reshape(norm, []) }, updates };
      });
      const executable = await device.load(program);
      for (const [step, want] of meta.train.entries()) {
        const t = step + 1;
        const hyper = hyperValues({
          learningRate: want.learning_rate,
          weightDecay: config.weight_decay,
          beta1: config.betas[0],
          beta2: config.betas[1],
          epsilon: config.eps,
          correction1: 1 - config.betas[0] ** t,
          correction2: 1 - config.betas[1] ** t,
        });
        const { loss, norm } = await executable.run({ ...batch, hyper });
        expect(Math.abs((loss?.[0] ?? NaN) - want.loss) / want.loss, `loss ${t}`).toBeLessThan(1e-4);
        expect(Math.abs((norm?.[0] ?? NaN) - want.grad_norm) / want.grad_norm, `norm ${t}`).toBeLessThan(
          1e-4,
        );
      }
    });
  }
}
