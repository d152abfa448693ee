import { foreignKeys, movedKeys } from './foreign.ts';
import { nearest } from './nearest.ts';
import { rewardShape, sections, settingsShape } from './schema.ts';
import { toCamel, toSnake } from './spelling.ts';

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Spellings of other programs. */
const aliases = new Map([
  ['truncationMode', 'truncation'],
  ['activationCheckpointing', 'gradientCheckpointing'],
]);

export type SectionName = keyof typeof sections;
const isSection = (name: string): name is SectionName => Object.hasOwn(sections, name);

export interface NormalKeys {
  /** The input with every known key in camelCase. */
  settings: JsonObject;
  mistakes: string[];
}

/** Every key as it is written in YAML, sections as `hpo.gamma`. */
export function knownKeys(): string[] {
  return Object.keys(settingsShape).flatMap((key) => [
    toSnake(key),
    ...(isSection(key) ? Object.keys(sections[key]).map((inner) => `${toSnake(key)}.${toSnake(inner)}`) : []),
  ]);
}

/** Brings keys to camelCase; unknown ones and keys given in both spellings become mistakes. */
export function normalizeKeys(input: JsonObject): NormalKeys {
  const mistakes: string[] = [];
  const settings = normalizeLevel(input, Object.keys(settingsShape), '', mistakes);
  for (const [key, value] of Object.entries(settings)) {
    if (isSection(key) && isObject(value)) {
      settings[key] = normalizeLevel(value, Object.keys(sections[key]), `${key}.`, mistakes);
    }
    if (key === 'rewards' && Array.isArray(value)) {
      // A reward's further keys are its own options: rewards.ts knows them.
      settings[key] = value.map((entry: unknown) =>
        isObject(entry)
          ? Object.fromEntries(Object.entries(entry).map(([inner, v]) => [rewardKey(inner), v]))
          : entry,
      );
    }
  }
  return { settings, mistakes };
}

const rewardKey = (key: string) => (Object.hasOwn(rewardShape, toCamel(key)) ? toCamel(key) : key);

function normalizeLevel(input: JsonObject, known: string[], prefix: string, mistakes: string[]): JsonObject {
  const result: JsonObject = {};
  for (const [written, value] of Object.entries(input)) {
    const camel = aliases.get(toCamel(written)) ?? toCamel(written);
    if (!known.includes(camel)) mistakes.push(unknownKey(`${prefix}${written}`));
    else if (Object.hasOwn(result, camel)) {
      mistakes.push(`${prefix}${toSnake(camel)}: is given twice, in two spellings; keep one`);
    } else result[camel] = value;
  }
  return result;
}

function unknownKey(path: string): string {
  const foreign = foreignKeys.get(toSnake(path));
  if (foreign !== undefined)
    return `${path}: is a key of TRL that prefgrad does not need: ${foreign}; leave it out`;
  return `${path}: is no key of the configuration; did you mean ${movedKeys.get(toSnake(path)) ?? nearestKey(toSnake(path))}?`;
}

/** The nearest key of the same section, unless one elsewhere is nearer: `gamma` means `hpo.gamma`. */
function nearestKey(path: string): string {
  const section = path.includes('.') ? path.slice(0, path.indexOf('.') + 1) : '';
  const last = (key: string) => key.slice(key.lastIndexOf('.') + 1);
  const keys = knownKeys().sort((a, b) => Number(inSection(b, section)) - Number(inSection(a, section)));
  const name = nearest(last(path), keys.map(last));
  return keys.find((key) => last(key) === name) ?? name;
}

const inSection = (key: string, section: string) =>
  section === '' ? !key.includes('.') : key.startsWith(section);
