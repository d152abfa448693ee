import { readFile } from 'node:fs/promises';
import { parse, parseDocument } from 'yaml';
import { PrefgradError } from '../engine/errors.ts';
import { UsageError } from './errors.ts';

/** A configuration as written: snake_case keys, not yet checked. */
export type RawConfig = Record<string, unknown>;

/** Reads a YAML (or JSON) configuration; errors name the file and, for syntax, the line. */
export async function readConfigFile(path: string): Promise<RawConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new PrefgradError(
      `${path}: the configuration cannot be read (${error instanceof Error ? error.message : String(error)})`,
    );
  });
  const document = parseDocument(text, { prettyErrors: false });
  const mistake = document.errors[0];
  if (mistake !== undefined) {
    const line = text.slice(0, mistake.pos[0]).split('\n').length;
    throw new PrefgradError(`${path}, line ${line}: not valid YAML: ${mistake.message}`);
  }
  const value: unknown = document.toJS();
  if (!isObject(value))
    throw new PrefgradError(`${path}: expected keys and values such as "model: path", found ${kind(value)}`);
  return value;
}

/**
 * Puts `key=value` arguments into a configuration: keys may have dots (`hpo.gamma=0.3`, `rewards.0.weight=2`),
 * values are YAML (`true`, `1e-6`, `null`, `[a, b]`). Throws UsageError for what is not of that form.
 */
export function applyOverrides(config: RawConfig, overrides: readonly string[]): RawConfig {
  const result = structuredClone(config);
  for (const override of overrides) {
    const [, key, text] = /^([^=]+)=([\s\S]*)$/.exec(override) ?? [];
    if (key === undefined) {
      throw new UsageError(
        `${JSON.stringify(override)} is not of the form key=value, such as learning_rate=1e-5`,
      );
    }
    put(result, key, yamlValue(override, text));
  }
  return result;
}

function yamlValue(override: string, text: string): unknown {
  try {
    return text.trim() === '' ? '' : parse(text);
  } catch (error) {
    throw new UsageError(
      `${override}: the value is not valid YAML (${firstLine(error)}); quote it: '${override.replace('=', '="')}"'`,
    );
  }
}

function put(config: RawConfig, key: string, value: unknown): void {
  const parts = key.split('.');
  let place: unknown = config;
  parts.forEach((part, i) => {
    const last = i === parts.length - 1;
    const where = parts.slice(0, i).join('.');
    if (Array.isArray(place)) {
      const index = Number(part);
      if (!/^\d+$/.test(part) || index >= place.length) {
        throw new UsageError(
          `${key}: ${where} is a list of length ${place.length}, counted from 0; it has no ${part}`,
        );
      }
      if (last) place[index] = value;
      else place = place[index];
    } else if (isObject(place)) {
      if (!/^\w+$/.test(part) || part === '__proto__') {
        throw new UsageError(
          `${JSON.stringify(key)} is no configuration key; keys are words joined by dots, such as hpo.gamma`,
        );
      }
      if (last) place[part] = value;
      else {
        // a section that is absent or null comes into being with its first key
        if (!Object.hasOwn(place, part) || place[part] === null) place[part] = {};
        place = place[part];
      }
    } else {
      throw new UsageError(`${key}: ${where} is ${kind(place)}, which has no ${part} in it`);
    }
  });
}

function isObject(value: unknown): value is RawConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value)
    ? 'a list'
    : isObject(value)
      ? 'a section'
      : `the value ${JSON.stringify(value)}`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].replace(/:$/, '');
}
