import { PrefgradError } from '../../engine/errors.ts';
import { bfloat16ToFloat32 } from '../../engine/bfloat16.ts';
import { float16ToFloat32 } from './halfFloats.ts';
import { findDuplicateKey, isJsonObject, kindOf, parseJsonObject } from './json.ts';
import { checkRange, decodeUtf8, type Bytes, type FileSource } from './source.ts';

/** Bytes per element of every dtype the format defines with whole bytes. */
const itemSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof itemSizes;

/** What the header says of one tensor; `start` is the file offset of its first byte. */
export interface SafetensorsInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly bytes: number;
}

/** Named tensors of a safetensors file (or of several, when a model is sharded). */
export interface TensorFile {
  readonly name: string;
  tensorNames(): string[];
  has(tensor: string): boolean;
  shape(tensor: string): readonly number[];
  dtype(tensor: string): SafetensorsDtype;
  /** Values in row-major order. F64 and 64-bit integers are rounded to float32. */
  read(tensor: string): Promise<Float32Array>;
  /** Values without rounding; a 64-bit integer beyond 2^53 is a PrefgradError. */
  readFloat64(tensor: string): Promise<Float64Array>;
  close(): Promise<void>;
}

/** The format's own limit, in bytes. */
const LARGEST_HEADER = 100_000_000;

/**
 * Opens a safetensors file: reads and checks its header; tensors are read when asked for. The source
 * is closed with the file, or when the header is bad.
 * Everything the format forbids is a PrefgradError that names the file and the tensor.
 * Format: https://github.com/huggingface/safetensors#format
 */
export async function openSafetensors(
  source: FileSource,
): Promise<TensorFile & { metadata: Record<string, string> }> {
  const { tensors, metadata } = await readSafetensorsHeader(source).catch(async (error: unknown) => {
    await source.close();
    throw error;
  });
  const info = (tensor: string): SafetensorsInfo => {
    const found = tensors.get(tensor);
    if (found === undefined) throw missingTensor(source.name, tensor, tensors.keys());
    return found;
  };
  return {
    name: source.name,
    metadata,
    tensorNames: () => [...tensors.keys()],
    has: (tensor) => tensors.has(tensor),
    shape: (tensor) => info(tensor).shape,
    dtype: (tensor) => info(tensor).dtype,
    async read(tensor) {
      const { dtype, start, bytes } = info(tensor);
      return toFloat32(`${source.name}: tensor ${tensor}`, dtype, await source.read(start, bytes));
    },
    async readFloat64(tensor) {
      const { dtype, start, bytes } = info(tensor);
      return toFloat64(`${source.name}: tensor ${tensor}`, dtype, await source.read(start, bytes));
    },
    close: () => source.close(),
  };
}

/** Reads and checks a safetensors header: 8 bytes of length, then that many bytes of JSON. */
export async function readSafetensorsHeader(
  source: FileSource,
): Promise<{ tensors: Map<string, SafetensorsInfo>; metadata: Record<string, string> }> {
  const bad = (problem: string) =>
    new PrefgradError(`${source.name}: ${problem}; it is no whole safetensors file`);

  const prefix = await source.read(0, 8);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > LARGEST_HEADER) throw bad(`the header claims ${length} bytes, more than ${LARGEST_HEADER}`);
  checkRange(source, 8, length);
  const text = decodeUtf8(`${source.name}: header`, await source.read(8, length));
  if (!text.startsWith('{')) throw bad('the header does not start with {');
  const header = parseJsonObject(`${source.name}: header`, text);
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) throw bad(`the header has the key ${JSON.stringify(duplicate)} twice`);

  const metadata: Record<string, string> = {};
  const tensors = new Map<string, SafetensorsInfo>();
  const dataStart = 8 + length;
  for (const [tensor, entry] of Object.entries(header)) {
    if (tensor === '__metadata__') {
      if (!isJsonObject(entry)) throw bad(`__metadata__ is ${kindOf(entry)}, expected an object of strings`);
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string')
          throw bad(`__metadata__.${key} is ${kindOf(value)}, expected a string`);
        metadata[key] = value;
      }
    } else {
      tensors.set(tensor, readEntry(tensor, entry, dataStart, source, bad));
    }
  }
  checkLayout(tensors, dataStart, source.size, bad);
  return { tensors, metadata };
}

function readEntry(
  tensor: string,
  entry: unknown,
  dataStart: number,
  source: FileSource,
  bad: (problem: string) => PrefgradError,
): SafetensorsInfo {
  if (!isJsonObject(entry)) throw bad(`tensor ${tensor} is ${kindOf(entry)}, expected an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    throw bad(
      `tensor ${tensor} has dtype ${JSON.stringify(dtype)}, known are ${Object.keys(itemSizes).join(', ')}`,
    );
  }
  if (!isSizes(shape)) {
    throw bad(
      `tensor ${tensor} has shape ${JSON.stringify(shape)}, expected a list of non-negative integers`,
    );
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw bad(
      `tensor ${tensor} has data_offsets ${JSON.stringify(offsets)}, expected [begin, end] with begin ≤ end`,
    );
  }
  const [begin, end] = offsets;
  const expected = shape.reduce((product, size) => product * size, itemSizes[dtype]);
  if (expected !== end - begin) {
    throw bad(
      `tensor ${tensor} has ${dtype} shape [${shape.join(', ')}], which takes ${expected} bytes, ` +
        `but data_offsets hold ${end - begin}`,
    );
  }
  checkRange(source, dataStart + begin, end - begin);
  return { dtype, shape, start: dataStart + begin, bytes: expected };
}

/** The format wants every byte after the header in exactly one tensor. */
function checkLayout(
  tensors: ReadonlyMap<string, SafetensorsInfo>,
  dataStart: number,
  fileSize: number,
  bad: (problem: string) => PrefgradError,
): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes);
  let position = dataStart;
  let previous = 'the header';
  for (const [tensor, { start, bytes }] of ordered) {
    if (start < position) throw bad(`tensors ${previous} and ${tensor} overlap`);
    if (start > position)
      throw bad(`${start - position} bytes between ${previous} and ${tensor} belong to no tensor`);
    position = start + bytes;
    previous = tensor;
  }
  if (position !== fileSize) throw bad(`${fileSize - position} bytes after ${previous} belong to no tensor`);
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(itemSizes, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function toFloat32(what: string, dtype: SafetensorsDtype, bytes: Bytes): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  if (dtype === 'F16') return float16ToFloat32(new Uint16Array(bytes.buffer));
  if (dtype === 'BF16') return bfloat16ToFloat32(new Uint16Array(bytes.buffer));
  return Float32Array.from(toFloat64(what, dtype, bytes));
}

function toFloat64(what: string, dtype: SafetensorsDtype, { buffer }: Bytes): Float64Array {
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer);
    case 'F32':
      return Float64Array.from(new Float32Array(buffer));
    case 'F16':
      return Float64Array.from(float16ToFloat32(new Uint16Array(buffer)));
    case 'BF16':
      return Float64Array.from(bfloat16ToFloat32(new Uint16Array(buffer)));
    case 'I64':
      return fromBigInts(what, new BigInt64Array(buffer));
    case 'U64':
      return fromBigInts(what, new BigUint64Array(buffer));
    case 'I32':
      return Float64Array.from(new Int32Array(buffer));
    case 'U32':
      return Float64Array.from(new Uint32Array(buffer));
    case 'I16':
      return Float64Array.from(new Int16Array(buffer));
    case 'U16':
      return Float64Array.from(new Uint16Array(buffer));
    case 'I8':
      return Float64Array.from(new Int8Array(buffer));
    case 'U8':
    case 'BOOL':
      return Float64Array.from(new Uint8Array(buffer));
    case 'F8_E4M3':
    case 'F8_E5M2':
      throw new PrefgradError(
        `${what} has dtype ${dtype}, which is not read here; convert it to BF16, F16 or F32`,
      );
  }
}

function fromBigInts(what: string, values: BigInt64Array | BigUint64Array): Float64Array {
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    numbers[i] = Number(values[i]);
    if (!Number.isSafeInteger(numbers[i])) {
      throw new PrefgradError(
        `${what} holds ${values[i]}, beyond the 2^53 that JavaScript numbers count exactly`,
      );
    }
  }
  return numbers;
}

/** The error for a tensor that is not in a file; it names the one spelt most alike. */
export function missingTensor(file: string, tensor: string, present: Iterable<string>): PrefgradError {
  const words = new Set(tensor.split('.'));
  let nearest: string | undefined;
  let most = 0;
  for (const candidate of present) {
    const common = candidate.split('.').filter((word) => words.has(word)).length;
    if (common > most) {
      most = common;
      nearest = candidate;
    }
  }
  const hint = nearest === undefined ? 'it holds other tensors' : `the nearest it has is ${nearest}`;
  return new PrefgradError(`${file}: has no tensor ${tensor}; ${hint}`);
}
