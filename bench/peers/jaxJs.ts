import type { StepData } from '../stepData.ts';
import { load } from './packages.ts';

// What is used of @jax-js/jax. Passing an array uses it up; `ref` is one more use.
interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  sum(): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(order?: readonly number[]): JaxArray;
  astype(type: string): JaxArray;
  dispose(): void;
  data(): Promise<ArrayLike<number>>;
  blockUntilReady(): Promise<JaxArray>;
}
interface Jax {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): void;
  readonly jit: <F>(f: F) => F;
  readonly valueAndGrad: <P, A extends unknown[]>(
    f: (parameters: P, ...rest: A) => JaxArray,
  ) => (parameters: P, ...rest: A) => [JaxArray, P];
  readonly blockUntilReady: (arrays: object) => Promise<unknown>;
  readonly tree: {
    ref<T>(tree: T): T;
    map<T>(f: (...arrays: JaxArray[]) => JaxArray, ...trees: T[]): T;
  };
  readonly numpy: {
    readonly bool: string;
    array(numbers: Float32Array | Int32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    split(x: JaxArray, parts: number, axis: number): JaxArray[];
    tri(rows: number, columns: number): JaxArray;
    where(condition: JaxArray, x: JaxArray, y: number): JaxArray;
  };
  readonly nn: {
    gelu(x: JaxArray): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
    standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
  };
}

async function open(): Promise<Jax> {
  const jax = await load<Jax>('@jax-js/jax');
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  return jax;
}

/** A product of n × n; the operands stay where they are. */
export async function jaxGemm(n: number, a: Float32Array, b: Float32Array): Promise<() => Promise<unknown>> {
  const { numpy } = await open();
  const [x, y] = [a, b].map((numbers) => numpy.array(numbers).reshape([n, n]));
  return async () => {
    const product = numpy.matmul(x.ref, y.ref);
    await product.blockUntilReady();
    product.dispose();
  };
}

interface Dense {
  readonly weight: JaxArray;
  readonly bias: JaxArray;
}
interface Block {
  readonly [name: string]: Dense;
  readonly norm1: Dense;
  readonly qkv: Dense;
  readonly output: Dense;
  readonly norm2: Dense;
  readonly up: Dense;
  readonly down: Dense;
}
interface Weights {
  readonly wte: JaxArray;
  readonly wpe: JaxArray;
  readonly blocks: readonly Block[];
  readonly norm: Dense;
}

/**
 * GPT-2's training step as one jitted function. Embeddings and labels are products with one-hot rows: a scatter, the
 * gradient of indexing, cannot be jitted in 0.1.25, and a step that is not jitted takes nearly twice as long.
 */
export async function jaxStep(data: StepData): Promise<() => Promise<number>> {
  const { jit, valueAndGrad, tree, numpy, nn, blockUntilReady } = await open();
  const { layers, width, heads, length, batch, vocab } = data.shape;
  const array = (name: string): JaxArray => {
    const weight = data.weights.get(name);
    if (weight === undefined) throw new Error(`there is no ${name}`);
    return numpy.array(weight.numbers).reshape(weight.shape);
  };
  const dense = (name: string): Dense => ({ weight: array(`${name}.weight`), bias: array(`${name}.bias`) });
  const normalise = (x: JaxArray, { weight, bias }: Dense): JaxArray =>
    nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias);
  const project = (x: JaxArray, { weight, bias }: Dense): JaxArray => numpy.matmul(x, weight).add(bias);

  const block = (x: JaxArray, weights: Block): JaxArray => {
    const qkv = project(normalise(x.ref, weights.norm1), weights.qkv);
    const [q, k, v] = numpy
      .split(qkv, 3, -1)
      .map((part) => part.reshape([batch, length, heads, width / heads]));
    const scores = numpy
      .matmul(q.transpose([0, 2, 1, 3]), k.transpose([0, 2, 3, 1]))
      .mul(1 / Math.sqrt(width / heads));
    const causal = numpy.tri(length, length).astype(numpy.bool).reshape([1, 1, length, length]);
    const mixed = numpy
      .matmul(nn.softmax(numpy.where(causal, scores, -1e30), -1), v.transpose([0, 2, 1, 3]))
      .transpose([0, 2, 1, 3])
      .reshape([batch, length, width]);
    const y = x.add(project(mixed, weights.output));
    return y.ref.add(project(nn.gelu(project(normalise(y, weights.norm2), weights.up)), weights.down));
  };
  const loss = (weights: Weights, tokens: JaxArray, labels: JaxArray): JaxArray => {
    const looked = numpy.matmul(nn.oneHot(tokens, vocab), weights.wte.ref);
    let x = looked.reshape([batch, length, width]).add(weights.wpe);
    for (const one of weights.blocks) x = block(x, one);
    const logits = numpy.matmul(normalise(x, weights.norm), weights.wte.transpose());
    const picked = nn.logSoftmax(logits, -1).mul(nn.oneHot(labels, vocab).reshape([batch, length, vocab]));
    return picked.sum().mul(-1 / (batch * length));
  };
  const step = jit((weights: Weights, tokens: JaxArray, labels: JaxArray): [JaxArray, Weights] => {
    const [value, gradients] = valueAndGrad(loss)(tree.ref(weights), tokens, labels);
    return [value, tree.map((w, dw) => w.sub(dw.mul(data.learningRate)), weights, gradients)];
  });

  let weights: Weights = {
    wte: array('transformer.wte.weight'),
    wpe: array('transformer.wpe.weight'),
    blocks: Array.from({ length: layers }, (_, i) => {
      const name = `transformer.h.${i}`;
      return {
        norm1: dense(`${name}.ln_1`),
        qkv: dense(`${name}.attn.c_attn`),
        output: dense(`${name}.attn.c_proj`),
        norm2: dense(`${name}.ln_2`),
        up: dense(`${name}.mlp.c_fc`),
        down: dense(`${name}.mlp.c_proj`),
      };
    }),
    norm: dense('transformer.ln_f'),
  };
  const [tokens, labels] = [numpy.array(data.tokens), numpy.array(data.labels)];
  return async () => {
    const [value, updated] = step(weights, tokens.ref, labels.ref);
    weights = updated;
    await blockUntilReady(updated);
    return (await value.data())[0] ?? NaN;
  };
}
