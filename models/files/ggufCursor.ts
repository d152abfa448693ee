import { PrefgradError } from '../../engine/errors.ts';
import type { Bytes } from './source.ts';

/** A metadata value; numeric arrays stay typed arrays, so they take no more room than in the file. */
export type GgufValue = string | boolean | number | bigint | readonly string[] | GgufNumbers;
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** The part of the file that was read ends before the header does. Never leaves this folder. */
export class NeedsMoreBytes extends Error {}

const STRING = 8;
const ARRAY = 9;

/** GGUF's scalar types by number: bytes each, and how an array of them is viewed. */
const scalars: Readonly<Record<number, { bytes: number; view: (buffer: ArrayBuffer) => GgufNumbers }>> = {
  0: { bytes: 1, view: (buffer) => new Uint8Array(buffer) },
  1: { bytes: 1, view: (buffer) => new Int8Array(buffer) },
  2: { bytes: 2, view: (buffer) => new Uint16Array(buffer) },
  3: { bytes: 2, view: (buffer) => new Int16Array(buffer) },
  4: { bytes: 4, view: (buffer) => new Uint32Array(buffer) },
  5: { bytes: 4, view: (buffer) => new Int32Array(buffer) },
  6: { bytes: 4, view: (buffer) => new Float32Array(buffer) },
  7: { bytes: 1, view: (buffer) => new Uint8Array(buffer) }, // booleans
  10: { bytes: 8, view: (buffer) => new BigUint64Array(buffer) },
  11: { bytes: 8, view: (buffer) => new BigInt64Array(buffer) },
  12: { bytes: 8, view: (buffer) => new Float64Array(buffer) },
};
const BOOLEAN = 7;

/** Reads a GGUF header front to back. Lengths are checked against the file before anything is allocated. */
export class GgufCursor {
  readonly name: string;
  readonly fileSize: number;
  position = 0;
  readonly #bytes: Bytes;
  readonly #view: DataView;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** `bytes` are the file's first ones, `fileSize` how many it has in all. */
  constructor(name: string, bytes: Bytes, fileSize: number) {
    this.name = name;
    this.fileSize = fileSize;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  bad(problem: string): PrefgradError {
    return new PrefgradError(`${this.name}: is no GGUF file that can be read: ${problem}`);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4, 'the header'), true);
  }

  /** A 64-bit count or size; beyond 2^53 it cannot be right. */
  safeUint64(what: string): number {
    const value = this.#view.getBigUint64(this.#take(8, what), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.bad(`${what} is ${value}`);
    return Number(value);
  }

  /** How many items follow, each of at least `leastBytes`. */
  count(what: string, leastBytes: number): number {
    const count = this.safeUint64(`the number of ${what}`);
    if (count * leastBytes > this.fileSize - this.position) {
      throw this.bad(`${count} ${what} cannot fit into its ${this.fileSize} bytes`);
    }
    return count;
  }

  string(what: string): string {
    const length = this.safeUint64(`the length of ${what}`);
    const start = this.#take(length, what);
    try {
      return this.#decoder.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw this.bad(`${what} is not UTF-8`);
    }
  }

  /** A metadata value of any type, its type first. */
  value(key: string): GgufValue {
    const type = this.uint32();
    if (type === STRING) return this.string(`metadata ${key}`);
    if (type === ARRAY) return this.#array(key);
    const [value] = this.#numbers(key, type, 1);
    return type === BOOLEAN ? value === 1 : value;
  }

  #array(key: string): GgufValue {
    const type = this.uint32();
    if (type !== STRING) return this.#numbers(key, type, this.safeUint64(`the length of metadata ${key}`));
    const length = this.count(`strings of metadata ${key}`, 8);
    const strings: string[] = [];
    for (let i = 0; i < length; i++) strings.push(this.string(`metadata ${key}[${i}]`));
    return strings;
  }

  #numbers(key: string, type: number, length: number): GgufNumbers {
    const scalar = scalars[type];
    if (scalar === undefined) throw this.bad(`metadata ${key} has the type ${type}, which is not read here`);
    const bytes = length * scalar.bytes;
    const start = this.#take(bytes, `metadata ${key}`);
    const values = scalar.view(this.#bytes.buffer.slice(start, start + bytes));
    if (type === BOOLEAN && values.some((value) => value > 1))
      throw this.bad(`metadata ${key} is no boolean`);
    return values;
  }

  /** Moves past so many bytes and says where they begin. */
  #take(bytes: number, what: string): number {
    const start = this.position;
    if (bytes > this.fileSize - start) {
      throw this.bad(
        `${what} needs ${bytes} bytes, but ${this.fileSize - start} are left; the file is truncated or damaged`,
      );
    }
    if (bytes > this.#bytes.length - start) throw new NeedsMoreBytes(what);
    this.position = start + bytes;
    return start;
  }
}
