import { toBfloat16 } from '../../engine/bfloat16.ts';
import { PrefgradError } from '../../engine/errors.ts';
import { toFloat16 } from './halfFloats.ts';
import type { FileSink } from './source.ts';

export type WrittenDtype = 'F32' | 'F16' | 'BF16';

/** One tensor to write; `data` is called when its turn comes and may fetch it from a device. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: WrittenDtype;
  /** Row-major values, as many as the shape says. */
  data(): Promise<Float32Array>;
}

/** Elements that are converted to 16 bits at a time. */
const CHUNK = 2 ** 20;

const itemSize = (dtype: WrittenDtype): number => (dtype === 'F32' ? 4 : 2);

/**
 * Writes tensors in the safetensors format, one at a time: what is in memory at once is one tensor
 * and a chunk of its 16-bit form. Four-byte tensors come first, so that every tensor is aligned.
 * Throws a PrefgradError for a name given twice, data of another size than the shape's, or a finite
 * value too large for F16.
 */
export async function writeSafetensors(
  sink: FileSink,
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Promise<void> {
  const ordered = [...entries].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  await sink.write(headerBytes(ordered, metadata));
  for (const entry of ordered) {
    const values = await entry.data();
    const expected = elements(entry.shape);
    if (values.length !== expected) {
      throw new PrefgradError(
        `tensor ${entry.name}: shape [${entry.shape.join(', ')}] has ${expected} elements, got ${values.length}`,
      );
    }
    if (entry.dtype === 'F32') {
      await sink.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      continue;
    }
    for (let from = 0; from < values.length; from += CHUNK) {
      const patterns = narrow(entry, values.subarray(from, from + CHUNK));
      await sink.write(new Uint8Array(patterns.buffer));
    }
  }
}

function headerBytes(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let offset = 0;
  for (const { name, shape, dtype } of entries) {
    if (header.has(name))
      throw new PrefgradError(`tensor ${name} is to be written twice; give each name once`);
    const end = offset + elements(shape) * itemSize(dtype);
    header.set(name, { dtype, shape, data_offsets: [offset, end] });
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const length = Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20); // padded with spaces, as the format allows
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}

function narrow({ name, dtype }: SafetensorsEntry, values: Float32Array): Uint16Array<ArrayBuffer> {
  const patterns = new Uint16Array(values.length);
  if (dtype === 'BF16') {
    for (let i = 0; i < values.length; i++) patterns[i] = toBfloat16(values[i]);
    return patterns;
  }
  for (let i = 0; i < values.length; i++) {
    const pattern = toFloat16(values[i]);
    if ((pattern & 0x7fff) === 0x7c00 && Number.isFinite(values[i])) {
      throw new PrefgradError(
        `tensor ${name} holds ${values[i]}, more than the 65504 that F16 can hold; save it as BF16 or F32`,
      );
    }
    patterns[i] = pattern;
  }
  return patterns;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
