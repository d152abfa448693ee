import { PrefgradError } from '../engine/errors.ts';

/** Reads a Hugging Face config.json by key; errors name the key and what was expected. */
export class ConfigReader {
  constructor(readonly json: Readonly<Record<string, unknown>>) {}

  get(key: string): unknown {
    return this.json[key];
  }

  integer(key: string, fallback?: number): number {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value <= 0)
      throw new PrefgradError(
        `config.json: ${key} must be a positive whole number, got ${JSON.stringify(value)}`,
      );
    return value;
  }

  number(key: string, fallback: number): number {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new PrefgradError(`config.json: ${key} must be a number, got ${JSON.stringify(value)}`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'boolean')
      throw new PrefgradError(`config.json: ${key} must be true or false, got ${JSON.stringify(value)}`);
    return value;
  }

  /** A value that must be one of those that are built; others would silently compute another model. */
  oneOf(key: string, allowed: readonly unknown[], fallback: unknown): void {
    const value = this.json[key] ?? fallback;
    if (!allowed.includes(value))
      throw new PrefgradError(
        `config.json: ${key} ${JSON.stringify(value)} is not supported; supported: ${allowed.map((a) => JSON.stringify(a)).join(', ')}`,
      );
  }

  /** What a table has under the key's value; a value that is not in it is refused as by `oneOf`. */
  choice<T>(key: string, table: Readonly<Record<string, T>>, fallback: string): T {
    this.oneOf(key, Object.keys(table), fallback);
    const chosen = Object.entries(table).find(([name]) => name === (this.json[key] ?? fallback));
    if (chosen === undefined) throw new PrefgradError(`config.json: ${key} has no ${fallback}`);
    return chosen[1];
  }

  object(key: string): ConfigReader | undefined {
    const value = this.json[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value))
      throw new PrefgradError(`config.json: ${key} must be an object, got ${JSON.stringify(value)}`);
    return new ConfigReader(value as Record<string, unknown>);
  }
}
