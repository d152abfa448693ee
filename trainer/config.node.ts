import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { PrefgradError } from '../engine/errors.ts';
import { applyOverride } from './config/overrides.ts';
import { isObject } from './config/keys.ts';
import { parseConfig } from './config/parse.ts';
import { isUrl } from './data/remote.node.ts';
import type { TrainConfig } from './config/types.ts';

/**
 * Reads a YAML file (JSON is YAML), applies overrides such as `beta=0.2` or `rewards[0].weight=2`, checks
 * the result as `parseConfig` does, and makes its paths absolute as `resolvePaths` does.
 */
export function loadConfig(path: string, overrides: readonly string[] = []): TrainConfig {
  const input = readYaml(path);
  for (const override of overrides) applyOverride(input, override);
  return resolvePaths(parseConfig(input, { source: path }));
}

function readYaml(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new PrefgradError(`${path}: cannot be read (${message(error)}); give the path of a YAML file`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0]);
    throw new PrefgradError(`${path}:${line}: is not valid YAML: ${firstLine(problem.message)}`);
  }
  const input: unknown = document.toJS();
  if (isObject(input)) return input;
  const what = input === null ? 'is empty' : 'is no mapping';
  throw new PrefgradError(`${path}: ${what}, expected keys with values, such as \`method: dpo\``);
}

/**
 * Relative paths, in the file and in overrides, are relative to the current directory, as in TRL. A `model`
 * that is neither a file nor a folder there is taken for a hub id and stays as it is.
 */
export function resolvePaths(config: TrainConfig): TrainConfig {
  const optional = (path: string | null) => (path === null ? null : resolve(path));
  const dataPath = (path: string) => (isUrl(path) ? path : resolve(path));
  const dataPaths = (data: TrainConfig['data']) =>
    typeof data === 'string' ? dataPath(data) : data.map((part) => ({ ...part, path: dataPath(part.path) }));
  const { resumeFromCheckpoint: checkpoint } = config;
  return {
    ...config,
    model: existsSync(config.model) ? resolve(config.model) : config.model,
    data: dataPaths(config.data),
    evalData: config.evalData === null ? null : dataPaths(config.evalData),
    outputDir: resolve(config.outputDir),
    resumeFromCheckpoint: typeof checkpoint === 'string' ? resolve(checkpoint) : checkpoint,
    lora: config.lora && {
      ...config.lora,
      adapter:
        config.lora.adapter !== null && existsSync(config.lora.adapter)
          ? resolve(config.lora.adapter)
          : config.lora.adapter,
    },
    hpo: { ...config.hpo, valueHead: optional(config.hpo.valueHead) },
    rewards: config.rewards.map((reward) => ({ ...reward, module: optional(reward.module) })),
  };
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));
const firstLine = (text: string) => text.split('\n')[0] ?? text;
