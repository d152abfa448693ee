import { PrefgradError } from '../../engine/errors.ts';
import { dequantize } from './dequantize.ts';
import { GgufCursor, NeedsMoreBytes } from './ggufCursor.ts';
import { GgufMetadata } from './ggufMetadata.ts';
import { ggmlTypeName, isGgufType, storages, type GgufType } from './ggufTypes.ts';
import { missingTensor } from './safetensors.ts';
import type { Bytes, FileSource } from './source.ts';

export interface GgufTensor {
  readonly name: string;
  /** Outermost first, as everywhere else here; the file has it the other way round. */
  readonly shape: readonly number[];
  readonly type: GgufType;
  /** File offset of its first byte. */
  readonly start: number;
  readonly bytes: number;
}

/** A GGUF file: metadata and named tensors, under llama.cpp's names and in its layout. */
export interface GgufFile {
  readonly name: string;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** A tensor's values as float32, row-major; blocks are dequantized. */
  read(tensor: string): Promise<Float32Array>;
  /** A tensor's bytes as they are stored. */
  readStored(tensor: string): Promise<Bytes>;
  close(): Promise<void>;
}

interface Header {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: Map<string, GgufTensor>;
}

const MAGIC = 0x46554747; // "GGUF", little-endian
const MOST_DIMENSIONS = 4;
const FIRST_READ = 2 ** 20;

/**
 * Opens a GGUF file, version 2 or 3: reads and checks its header; tensors are read when asked for. What
 * the header claims is checked against the file's size before anything is allocated; every fault is a
 * PrefgradError that names the file and the key or tensor. The source is closed with the file, or when
 * the header is bad.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export async function openGguf(source: FileSource): Promise<GgufFile> {
  const header = await readHeader(source).catch(async (error: unknown) => {
    await source.close();
    throw error;
  });
  const infoOf = (tensor: string): GgufTensor => {
    const info = header.tensors.get(tensor);
    if (info === undefined) throw missingTensor(source.name, tensor, header.tensors.keys());
    return info;
  };
  const readStored = (tensor: string): Promise<Bytes> => {
    const { start, bytes } = infoOf(tensor);
    return source.read(start, bytes);
  };
  return {
    name: source.name,
    ...header,
    readStored,
    async read(tensor) {
      return dequantize(infoOf(tensor).type, await readStored(tensor));
    },
    close: () => source.close(),
  };
}

/** Where a header ends is known only when it has been read: the part read grows until it is whole. */
async function readHeader(source: FileSource): Promise<Header> {
  for (let length = Math.min(FIRST_READ, source.size); ; length = Math.min(4 * length, source.size)) {
    const bytes = await source.read(0, length);
    try {
      return parseHeader(new GgufCursor(source.name, bytes, source.size));
    } catch (error) {
      if (!(error instanceof NeedsMoreBytes) || length === source.size) throw error;
    }
  }
}

function parseHeader(cursor: GgufCursor): Header {
  if (cursor.uint32() !== MAGIC) throw cursor.bad('does not start with GGUF');
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    throw cursor.bad(
      version % 65536 === 0
        ? 'is stored big-endian; convert it to little-endian'
        : `has version ${version}, read are 2 and 3; convert it with a current llama.cpp`,
    );
  }
  const tensorCount = cursor.count('tensors', 24);
  const metadata = new GgufMetadata(cursor.name, readMetadata(cursor));

  const alignment = metadata.optionalNumber('general.alignment') ?? 32;
  if (!Number.isInteger(Math.log2(alignment)) || alignment < 8 || alignment > 2 ** 31) {
    throw cursor.bad(`general.alignment is ${alignment}, expected a power of two from 8 up`);
  }
  const infos: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(readTensorInfo(cursor, i));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const info of infos) {
    if (tensors.has(info.name)) throw cursor.bad(`tensor ${info.name} is listed twice`);
    if (info.start % alignment !== 0) {
      throw cursor.bad(
        `tensor ${info.name} begins at ${info.start}, not a multiple of the alignment ${alignment}`,
      );
    }
    tensors.set(info.name, { ...info, start: dataStart + info.start });
  }
  checkLayout(cursor, tensors);
  return { version, metadata, tensors };
}

function readMetadata(cursor: GgufCursor) {
  const entries = cursor.count('metadata entries', 13);
  const values = new Map<string, ReturnType<GgufCursor['value']>>();
  for (let i = 0; i < entries; i++) {
    const key = cursor.string(`the key of metadata entry ${i}`);
    if (values.has(key)) throw cursor.bad(`metadata key ${key} comes twice`);
    values.set(key, cursor.value(key));
  }
  return values;
}

/** One tensor's entry; its `start` still counts from the data's beginning. */
function readTensorInfo(cursor: GgufCursor, index: number): GgufTensor {
  const name = cursor.string(`the name of tensor ${index}`);
  const dimensions = cursor.uint32();
  if (dimensions > MOST_DIMENSIONS) {
    throw cursor.bad(`tensor ${name} has ${dimensions} dimensions, at most ${MOST_DIMENSIONS} are allowed`);
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift(cursor.safeUint64(`a dimension of tensor ${name}`));
  const type = ggmlTypeName(cursor.uint32());
  const start = cursor.safeUint64(`the offset of tensor ${name}`);
  if (!isGgufType(type)) {
    throw cursor.bad(
      `tensor ${name} is stored as ${type}, which is not read here; ` +
        `requantize the model to one of ${Object.keys(storages).join(', ')}`,
    );
  }
  const { block, bytes } = storages[type];
  const rowLength = shape.at(-1) ?? 1;
  if (rowLength % block !== 0) {
    throw cursor.bad(
      `tensor ${name} has rows of ${rowLength} values, not a multiple of ${type}'s block of ${block}`,
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  return { name, shape, type, start, bytes: (elements / block) * bytes };
}

function checkLayout(cursor: GgufCursor, tensors: ReadonlyMap<string, GgufTensor>): void {
  const ordered = [...tensors.values()].sort((a, b) => a.start - b.start || a.bytes - b.bytes);
  let end = 0;
  let previous = '';
  for (const { name, start, bytes, shape } of ordered) {
    // Written so that a product beyond 2^53, or infinite, fails too.
    if (!(start + bytes <= cursor.fileSize)) {
      throw new PrefgradError(
        `${cursor.name}: the file is truncated or damaged: tensor ${name} [${shape.join(', ')}] needs bytes ` +
          `${start} to ${start + bytes}, but the file has ${cursor.fileSize}; download or copy it again`,
      );
    }
    if (start < end) throw cursor.bad(`tensors ${previous} and ${name} overlap`);
    end = start + bytes;
    previous = name;
  }
}
