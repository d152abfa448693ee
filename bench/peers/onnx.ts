import { load } from './packages.ts';

// What is used of onnxruntime-web.
interface Tensor {
  readonly data: ArrayLike<number>;
}
interface Onnx {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly Tensor: new (type: 'float32', numbers: Float32Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: { executionProviders: string[] },
    ): Promise<{ run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> }>;
  };
}

// Protocol buffers: a field is its number and kind, then the number itself or the length and bytes of what it holds.
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}
const number = (field: number, value: number): number[] => [field << 3, ...varint(value)];
const bytes = (field: number, content: readonly number[]): number[] => [
  ...[(field << 3) | 2, ...varint(content.length)],
  ...content,
];
const text = (field: number, value: string): number[] => bytes(field, [...new TextEncoder().encode(value)]);

/** An ONNX model of one node, c = MatMul(a, b), on float32 of n × n. */
function matMulModel(n: number): Uint8Array {
  const shape = [n, n].flatMap((size) => bytes(1, number(1, size)));
  const tensorType = bytes(1, [...number(1, 1), ...bytes(2, shape)]);
  const value = (name: string): number[] => [...text(1, name), ...bytes(2, tensorType)];
  const node = [...text(1, 'a'), ...text(1, 'b'), ...text(2, 'c'), ...text(4, 'MatMul')];
  const graph = [
    ...[...bytes(1, node), ...text(2, 'matmul')],
    ...[...bytes(11, value('a')), ...bytes(11, value('b')), ...bytes(12, value('c'))],
  ];
  const irVersion = 8;
  const opset = 17;
  return Uint8Array.from([...number(1, irVersion), ...bytes(7, graph), ...bytes(8, number(2, opset))]);
}

/** A product of n × n as a session runs it: inputs are copied in and the output out, as its API has it. */
export async function onnxGemm(
  n: number,
  a: Float32Array,
  b: Float32Array,
  threads: number,
): Promise<() => Promise<unknown>> {
  const { env, Tensor, InferenceSession } = await load<Onnx>('onnxruntime-web');
  env.wasm.numThreads = threads;
  const session = await InferenceSession.create(matMulModel(n), { executionProviders: ['wasm'] });
  const feeds = { a: new Tensor('float32', a, [n, n]), b: new Tensor('float32', b, [n, n]) };
  return () => session.run(feeds);
}
