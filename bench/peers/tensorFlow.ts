import type { StepData } from '../stepData.ts';
import { load } from './packages.ts';

// What is used of @tensorflow/tfjs.
interface Tensor {
  add(other: Tensor | number): Tensor;
  sub(other: Tensor | number): Tensor;
  mul(other: Tensor | number): Tensor;
  square(): Tensor;
  tanh(): Tensor;
  toFloat(): Tensor;
  reshape(shape: readonly number[]): Tensor;
  transpose(order: readonly number[]): Tensor;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  getBackend(): string;
  ready(): Promise<void>;
  tensor(numbers: Float32Array | Int32Array, shape: readonly number[], type?: string): Tensor;
  variable(tensor: Tensor): Tensor;
  ones(shape: readonly number[]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  moments(x: Tensor, axis: number, keepDims: boolean): { mean: Tensor; variance: Tensor };
  rsqrt(x: Tensor): Tensor;
  softmax(x: Tensor): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  oneHot(x: Tensor, classes: number): Tensor;
  readonly linalg: { bandPart(x: Tensor, lower: number, upper: number): Tensor };
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: {
    sgd(rate: number): { minimize(f: () => Tensor, returnCost: true): Tensor };
  };
}

async function open(): Promise<TensorFlow> {
  const tf = await load<TensorFlow>('@tensorflow/tfjs');
  await load('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend('wasm');
  await tf.ready();
  if (tf.getBackend() !== 'wasm') throw new Error(`TensorFlow.js runs on ${tf.getBackend()}, not on wasm`);
  return tf;
}

/** A product of n × n; the operands stay where they are. */
export async function tensorFlowGemm(
  n: number,
  a: Float32Array,
  b: Float32Array,
): Promise<() => Promise<unknown>> {
  const tf = await open();
  const [x, y] = [a, b].map((numbers) => tf.tensor(numbers, [n, n]));
  // The kernel has run when matMul returns: the wasm backend is synchronous.
  return async () => tf.matMul(x, y).dispose();
}

interface Dense {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** GPT-2's training step. Embeddings are products with one-hot rows: 4.22 has no gradient of gather on wasm. */
export async function tensorFlowStep(data: StepData): Promise<() => Promise<number>> {
  const tf = await open();
  const { layers, width, heads, length, batch, vocab } = data.shape;
  const variable = (name: string): Tensor => {
    const weight = data.weights.get(name);
    if (weight === undefined) throw new Error(`there is no ${name}`);
    return tf.variable(tf.tensor(weight.numbers, weight.shape));
  };
  const dense = (name: string): Dense => ({
    weight: variable(`${name}.weight`),
    bias: variable(`${name}.bias`),
  });
  const normalise = (x: Tensor, { weight, bias }: Dense): Tensor => {
    const { mean, variance } = tf.moments(x, -1, true);
    return x
      .sub(mean)
      .mul(tf.rsqrt(variance.add(1e-5)))
      .mul(weight)
      .add(bias);
  };
  const project = (x: Tensor, { weight, bias }: Dense): Tensor => tf.matMul(x, weight).add(bias);
  const gelu = (x: Tensor): Tensor => {
    const inner = x.add(x.square().mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
    return x.mul(0.5).mul(inner.tanh().add(1));
  };
  const mask = tf.linalg
    .bandPart(tf.ones([length, length]), -1, 0)
    .sub(1)
    .mul(1e9);

  const wte = variable('transformer.wte.weight');
  const wpe = variable('transformer.wpe.weight');
  const norm = dense('transformer.ln_f');
  const blocks = Array.from({ length: layers }, (_, i) => {
    const name = `transformer.h.${i}`;
    return {
      norm1: dense(`${name}.ln_1`),
      qkv: dense(`${name}.attn.c_attn`),
      output: dense(`${name}.attn.c_proj`),
      norm2: dense(`${name}.ln_2`),
      up: dense(`${name}.mlp.c_fc`),
      down: dense(`${name}.mlp.c_proj`),
    };
  });
  const apart = (x: Tensor): Tensor =>
    x.reshape([batch, length, heads, width / heads]).transpose([0, 2, 1, 3]);
  const tokens = tf.oneHot(tf.tensor(data.tokens, [batch * length], 'int32'), vocab).toFloat();
  const labels = tf.oneHot(tf.tensor(data.labels, [batch * length], 'int32'), vocab);

  const loss = (): Tensor => {
    let x = tf.matMul(tokens, wte).reshape([batch, length, width]).add(wpe).reshape([-1, width]);
    for (const weights of blocks) {
      const qkv = project(normalise(x, weights.norm1), weights.qkv);
      const [q, k, v] = tf.split(qkv, 3, -1).map(apart);
      const scores = tf.matMul(q, k, false, true).mul(1 / Math.sqrt(width / heads));
      const mixed = tf
        .matMul(tf.softmax(scores.add(mask)), v)
        .transpose([0, 2, 1, 3])
        .reshape([-1, width]);
      x = x.add(project(mixed, weights.output));
      x = x.add(project(gelu(project(normalise(x, weights.norm2), weights.up)), weights.down));
    }
    return tf.losses.softmaxCrossEntropy(labels, tf.matMul(normalise(x, norm), wte, false, true));
  };
  const optimizer = tf.train.sgd(data.learningRate);
  return async () => {
    const value = optimizer.minimize(loss, true);
    const [number] = Array.from(await value.data());
    value.dispose();
    return number ?? NaN;
  };
}
