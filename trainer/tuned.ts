import { PrefgradError } from '../engine/errors.ts';
import type { Variable } from '../engine/index.ts';
import { sizeOf } from '../engine/index.ts';
import { parseHubReference } from '../models/files/hubReference.ts';
import type { AdapterFiles } from '../models/files/open.ts';
import { openAdapterFiles } from '../models/files/open.ts';
import type { TensorFile } from '../models/files/safetensors.ts';
import type { SavedFile, SavedModel } from '../models/files/savedFiles.ts';
import { savedAdapterFiles, savedFiles } from '../models/files/savedFiles.ts';
import type { LoraConfig } from '../models/lora/config.ts';
import { loraDefaults } from '../models/lora/config.ts';
import { Lora } from '../models/lora/lora.ts';
import { adapterConfigJson } from '../models/lora/save.ts';
import { findTargets } from '../models/lora/targets.ts';
import type { LanguageModel } from '../models/model.ts';
import { loadWeights } from '../models/model.ts';
import type { LoraSettings, TrainConfig } from './config.ts';
import { toSnake } from './config/spelling.ts';
import { Random } from './data/random.ts';
import type { Session } from './session.ts';

/** What a run trains and saves: the whole model, or adapters on it. */
export interface Tuned {
  readonly model: LanguageModel;
  /** Numbers of all weights, trained or frozen. */
  readonly size: number;
  /** The files that hold what has been trained so far. */
  files(): SavedFile[];
  /** Loads those files from a checkpoint's folder. */
  restore(folder: string): Promise<void>;
}

/** What of a run's settings says what is trained; `model` is as adapter_config.json names the base. */
export type TunedSettings = Pick<TrainConfig, 'model' | 'lora' | 'seed'>;

/** Errors: adapters that do not fit the model, or that say something else than the configuration. */
export async function openTuned(config: TunedSettings, session: Session): Promise<Tuned> {
  return config.lora === null ? wholeModel(session) : adapters(config, config.lora, session);
}

/** Numbers that variables hold. */
export const sizeOfAll = (variables: readonly Variable[]): number =>
  variables.reduce((n, { type }) => n + sizeOf(type.shape), 0);

function wholeModel(session: Session): Tuned {
  const { model, device } = session;
  return {
    model,
    size: sizeOfAll(model.parameters.map((p) => p.variable)),
    files: () => savedFiles(savedModel(session)),
    async restore(folder) {
      const weights = await openSaved(folder, 'model.safetensors');
      await loadWeights(model, weights, device).finally(() => weights.close());
    },
  };
}

/** A file of a checkpoint, which only Node, Deno and Bun have. */
async function openSaved(folder: string, name: string): Promise<TensorFile> {
  const { openTensorFile } = await import('./tensors.node.ts');
  return openTensorFile(`${folder}/${name}`);
}

/** Tells the adapters' random numbers from those of the data's order. */
const LORA_STREAM = 0x6c6f7261;

async function adapters(config: TunedSettings, settings: LoraSettings, session: Session): Promise<Tuned> {
  const { model: base, device, files, tokenizer } = session;
  if (files.adapter)
    throw new PrefgradError(
      `lora: ${files.name} is an adapter itself; go on training it with lora.adapter: ${config.model} and its base as ` +
        `model, or make it a model of its own with prefgrad merge`,
    );
  const { adapter: path, ...given } = settings;
  const from = path === null ? undefined : await openAdapterFiles(path);
  let lora: Lora;
  try {
    lora = new Lora(base, from ? agreed(from, given, base) : { ...loraDefaults, ...given });
    const random = new Random(config.seed, LORA_STREAM);
    if (from) await lora.load(device, from.tensors);
    else await lora.start(device, () => random.uniform());
  } finally {
    await from?.close();
  }
  const { id = config.model, revision } = hubParts(config.model);
  return {
    model: lora.model,
    size: sizeOfAll([...base.parameters, ...lora.parameters].map((p) => p.variable)),
    files: () =>
      savedAdapterFiles({
        config: { ...adapterConfigJson(lora, id), revision: revision ?? null },
        tokenizer,
        tensors: lora.parameters.map((p) => savedTensor(p.variable, session)),
      }),
    async restore(folder) {
      const tensors = await openSaved(folder, 'adapter_model.safetensors');
      await lora.load(device, tensors).finally(() => tensors.close());
    },
  };
}

/** A hub id and the revision that was asked for, which adapter_config.json keeps apart. */
function hubParts(model: string): { id?: string; revision?: string } {
  const hub = model.includes('@') ? parseHubReference(model) : undefined;
  return hub ?? {};
}

/** An adapter's own settings, with the dropout of this run. Errors: anything else that is given and differs. */
function agreed(
  { config, name }: AdapterFiles,
  { loraDropout = config.loraDropout, ...given }: Partial<LoraConfig>,
  model: LanguageModel,
): LoraConfig {
  const merged = { ...config, loraDropout };
  const layers = (of: LoraConfig) => findTargets(model, of).map((layer) => layer.name);
  const targets = ['targetModules', 'excludeModules', 'layersToTransform'] as const;
  for (const key of Object.keys(given) as (keyof typeof given)[]) {
    const [mine, its] = (targets as readonly string[]).includes(key)
      ? [layers({ ...config, [key]: given[key] }), layers(config)]
      : [given[key], config[key]];
    if (JSON.stringify(mine) !== JSON.stringify(its))
      throw new PrefgradError(
        `lora.${toSnake(key)}: is ${JSON.stringify(given[key])}, but the adapter ${name} has ${JSON.stringify(config[key])}; leave it out`,
      );
  }
  return merged;
}

/** The model as it is saved: its present weights with the files it came with. */
export function savedModel(session: Session): SavedModel {
  const { files, tokenizer, model } = session;
  return {
    config: files.config,
    generationConfig: files.generationConfig,
    tokenizer,
    tensors: model.parameters.map((p) => savedTensor(p.variable, session)),
  };
}

/** A variable with the numbers that it has when its turn comes. */
export const savedTensor = (variable: Variable, { device }: Pick<Session, 'device'>) => ({
  name: variable.name,
  shape: variable.type.shape,
  data: async () => Float32Array.from(await device.read(variable)),
});
