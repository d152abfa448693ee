import { parse } from 'yaml';
import { PrefgradError } from '../../engine/errors.ts';
import { isObject, type JsonObject } from './keys.ts';
import { toCamel, toSnake } from './spelling.ts';

type Level = JsonObject | unknown[];

/**
 * Writes `key=value` into a configuration, the value read as YAML: `beta=0.2`, `hpo.weight_clip=null`,
 * `rewards[0].weight=2`, `loss_type=[sigmoid]`. Throws a PrefgradError for what has not that form.
 */
export function applyOverride(config: JsonObject, override: string): void {
  const equals = override.indexOf('=');
  const path = override.slice(0, Math.max(equals, 0)).trim();
  if (!/^\w+(\.\w+|\[\d+\])*$/.test(path) || path.includes('__')) {
    throw new PrefgradError(
      `${override}: is no override, expected key=value, such as learning_rate=1e-5 or hpo.gamma=0.3`,
    );
  }
  const value = yamlValue(override, equals);
  const steps = path.replace(/\[(\d+)\]/g, '.$1').split('.');
  let level: Level = config;
  for (const step of steps.slice(0, -1)) level = child(level, step, override);
  write(level, steps.at(-1) ?? '', value, override);
}

/** The mapping or list that a step leads to, made where there is none. */
function child(level: Level, step: string, override: string): Level {
  const present = Array.isArray(level)
    ? level[position(level, step, override)]
    : own(level, existingSpelling(level, step));
  if (isObject(present) || Array.isArray(present)) return present;
  if (present !== undefined && present !== null) {
    throw new PrefgradError(`${override}: ${step} holds a single value in the configuration, not a mapping`);
  }
  const made: JsonObject = {};
  write(level, step, made, override);
  return made;
}

function write(level: Level, step: string, value: unknown, override: string): void {
  if (Array.isArray(level)) level[position(level, step, override)] = value;
  else level[existingSpelling(level, step)] = value;
}

function position(list: readonly unknown[], step: string, override: string): number {
  const index = Number(step);
  if (Number.isInteger(index) && index <= list.length) return index;
  throw new PrefgradError(
    `${override}: asks for item ${step} of a list that has ${list.length}, counted from 0`,
  );
}

const own = (level: JsonObject, key: string) => (Object.hasOwn(level, key) ? level[key] : undefined);

/** The file may say learningRate where the override says learning_rate. */
function existingSpelling(level: JsonObject, step: string): string {
  return [step, toCamel(step), toSnake(step)].find((key) => Object.hasOwn(level, key)) ?? step;
}

function yamlValue(override: string, equals: number): unknown {
  try {
    return parse(override.slice(equals + 1)) as unknown;
  } catch (error) {
    const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new PrefgradError(`${override}: the value is not valid YAML: ${detail}`);
  }
}
