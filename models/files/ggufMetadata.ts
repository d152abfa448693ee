import { PrefgradError } from '../../engine/errors.ts';
import type { GgufValue } from './ggufCursor.ts';
import { kindOf } from './json.ts';

/** A GGUF file's metadata, read by key with the type that is expected there. */
export class GgufMetadata {
  readonly #file: string;
  readonly #values: ReadonlyMap<string, GgufValue>;

  constructor(file: string, values: ReadonlyMap<string, GgufValue>) {
    this.#file = file;
    this.#values = values;
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  get(key: string): GgufValue | undefined {
    return this.#values.get(key);
  }

  optionalNumber(key: string): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) throw this.#wrong(key, 'a number');
    return number;
  }

  number(key: string): number {
    return this.optionalNumber(key) ?? this.#missing(key);
  }

  /** A size or a number of things: an integer from 1 up. */
  optionalCount(key: string): number | undefined {
    const count = this.optionalNumber(key);
    if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) {
      throw new PrefgradError(`${this.#file}: metadata ${key} is ${count}, expected a positive integer`);
    }
    return count;
  }

  count(key: string): number {
    return this.optionalCount(key) ?? this.#missing(key);
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.#values.get(key);
    if (value !== undefined && typeof value !== 'boolean') throw this.#wrong(key, 'a boolean');
    return value;
  }

  optionalString(key: string): string | undefined {
    const value = this.#values.get(key);
    if (value !== undefined && typeof value !== 'string') throw this.#wrong(key, 'a string');
    return value;
  }

  string(key: string): string {
    return this.optionalString(key) ?? this.#missing(key);
  }

  optionalStrings(key: string): readonly string[] | undefined {
    const value = this.#values.get(key);
    if (value !== undefined && !isStrings(value)) throw this.#wrong(key, 'an array of strings');
    return value;
  }

  strings(key: string): readonly string[] {
    return this.optionalStrings(key) ?? this.#missing(key);
  }

  optionalNumbers(key: string): readonly number[] | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (!ArrayBuffer.isView(value)) throw this.#wrong(key, 'an array of numbers');
    return Array.from(value, Number);
  }

  #missing(key: string): never {
    throw new PrefgradError(
      `${this.#file}: has no metadata ${key}; convert the model with a current llama.cpp`,
    );
  }

  #wrong(key: string, expected: string): PrefgradError {
    const value = this.#values.get(key);
    const found = ArrayBuffer.isView(value) ? 'an array of numbers' : kindOf(value);
    return new PrefgradError(`${this.#file}: metadata ${key} is ${found}, expected ${expected}`);
  }
}

function isStrings(value: GgufValue): value is readonly string[] {
  return Array.isArray(value);
}
