import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import { saveModelFiles } from '../../models/files/save.ts';
import { writeSafetensors } from '../../models/files/safetensorsWriter.ts';
import { memorySink } from '../../models/files/source.ts';
import { parseAdapterConfig } from '../../models/lora/config.ts';
import { Lora } from '../../models/lora/lora.ts';
import { createModel } from '../../models/registry.ts';
import type { MetricsLine } from '../../trainer/metrics.ts';
import { openTensorFile } from '../../trainer/tensors.node.ts';
import { needsShared, shared } from '../shared.ts';
import { fresh, runTraining } from './runs.ts';

type Json = Readonly<Record<string, unknown>>;
type History = readonly Readonly<Record<string, number | null>>[];

interface Run {
  readonly method: 'dpo' | 'kto' | 'sft';
  /** A model of ../shared/fixtures, or the config.json of one whose weights follow from a formula. */
  readonly model: string | Json;
  readonly max_steps: number;
  readonly config: Json;
  readonly lora: Json;
  readonly history: History;
  /** Some numbers of each tensor: every nth, n = the tensor's size / 5. */
  readonly final: Readonly<Record<string, readonly number[]>>;
}

/** See fixtures/lora/make.py. */
const runs = JSON.parse(
  readFileSync(new URL('../fixtures/lora/runs.json', import.meta.url), 'utf8'),
) as Record<string, Run>;
const fixtures = shared('fixtures') ?? '';
const folders =
  fixtures === ''
    ? []
    : readdirSync(join(fixtures, 'trl')).filter((name) =>
        existsSync(join(fixtures, 'trl', name, 'adapter-final')),
      );

const common = {
  logging_steps: 1,
  save_strategy: 'no',
  seed: 1,
  train_sampling_strategy: 'sequential',
  device: 'wasm',
};

/** Tensors filled with the numbers that make.py's `start` gives. */
function start(shapes: ReadonlyMap<string, readonly number[]>) {
  return [...shapes.keys()].toSorted().map((name, k) => ({
    name,
    shape: shapes.get(name) ?? [],
    dtype: 'F32' as const,
    data: () => {
      const shift = /(lora_magnitude_vector|norm\.weight)$/.test(name) ? 1 : 0;
      const number = (_: unknown, i: number) => shift + 0.05 * Math.sin(k + 0.37 * (i % 997));
      return Promise.resolve(Float32Array.from({ length: sizeOf(shapes.get(name) ?? []) }, number));
    },
  }));
}

/** The run's model: the folder that it is in. */
async function modelFolder(model: Run['model']): Promise<string> {
  if (typeof model === 'string') return join(fixtures, 'models', model);
  const shapes = new Map(createModel(model).parameters.map((p) => [p.variable.name, p.variable.type.shape]));
  const files = await openModelFiles(join(fixtures, 'models/llama'));
  const { tokenizer } = files;
  await files.close();
  const folder = fresh('model');
  await saveModelFiles(folder, {
    config: model,
    ...(tokenizer ? { tokenizer } : {}),
    tensors: start(shapes),
  });
  return folder;
}

/** A folder of PEFT's with the adapters that the run starts from. */
async function adapterFolder(model: string, lora: Json): Promise<string> {
  const json = { peft_type: 'LORA', ...lora };
  const files = await openModelFiles(model);
  const { config } = files;
  await files.close();
  const { parameters } = new Lora(createModel(config), parseAdapterConfig(json, 'test'));
  const sink = memorySink();
  await writeSafetensors(
    sink,
    start(new Map(parameters.map((p) => [p.variable.name, p.variable.type.shape]))),
  );
  const folder = fresh('adapter');
  mkdirSync(folder);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(json));
  writeFileSync(join(folder, 'adapter_model.safetensors'), sink.bytes());
  return folder;
}

const compared = [
  'loss',
  'kl',
  'logps/chosen',
  'logps/rejected',
  'rewards/chosen',
  'rewards/margins',
  'grad_norm',
];

/** As ../shared/check/trajectory.mjs compares. */
function expectHistory(metrics: readonly MetricsLine[], history: History): void {
  expect(metrics.length).toBe(history.length);
  history.forEach((step, i) => {
    for (const key of compared) {
      const want = step[key];
      if (want === undefined || want === null) continue;
      const floor = key.startsWith('rewards/') || key === 'kl' ? 0.3 : 1e-2;
      const off = Math.abs((metrics[i]?.[key] ?? NaN) - want) / Math.max(Math.abs(want), floor);
      expect(off, `${key} at step ${i + 1}: ${metrics[i]?.[key]} against ${want}`).toBeLessThan(3e-4);
    }
  });
}

describe.skipIf(fixtures === '')(`LoRA runs of TRL and PEFT ${needsShared}`, () => {
  for (const [name, run] of Object.entries(runs))
    it(name, async () => {
      const model = await modelFolder(run.model);
      const { metrics, outputDir } = await runTraining({
        ...{ ...common, ...run.config, method: run.method, max_steps: run.max_steps, model },
        data: join(fixtures, run.method === 'kto' ? 'unpaired.jsonl' : 'pairs.jsonl'),
        lora: { ...run.lora, adapter: await adapterFolder(model, run.lora) },
      });
      expectHistory(metrics, run.history);
      const ours = await openTensorFile(join(outputDir, 'adapter_model.safetensors'));
      expect(ours.tensorNames().toSorted()).toEqual(Object.keys(run.final).toSorted());
      for (const [tensor, want] of Object.entries(run.final)) {
        const numbers = await ours.read(tensor);
        const every = Math.max(1, Math.floor(numbers.length / 5));
        const largest = Math.max(...want.map(Math.abs));
        want.forEach((x, i) =>
          expect(Math.abs((numbers[i * every] ?? NaN) - x) / largest, tensor).toBeLessThan(2e-3),
        );
      }
      await ours.close();
    });

  it.each(['DoRA', 'all linear layers of GPT-NeoX', 'PEFT’s choice for GPT-2'])(
    '%s, blocks computed again',
    async (name) => {
      const run = runs[name.replace('’', "'")];
      if (run === undefined) throw new Error(`there is no run ${name}`);
      const model = await modelFolder(run.model);
      const { metrics } = await runTraining({
        ...{ ...common, ...run.config, method: run.method, max_steps: run.max_steps, model },
        ...{ data: join(fixtures, 'pairs.jsonl'), gradient_checkpointing: true },
        lora: { ...run.lora, adapter: await adapterFolder(model, run.lora) },
      });
      expectHistory(metrics, run.history);
    },
  );

  for (const name of folders)
    it(`${name} ends at PEFT's adapter`, async () => {
      const folder = join(fixtures, 'trl', name);
      const meta = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8')) as Run & { model: string };
      const { metrics, outputDir } = await runTraining({
        ...{ ...common, ...meta.config, method: 'dpo', max_steps: meta.max_steps },
        ...{ model: join(fixtures, meta.model), data: join(fixtures, 'pairs.jsonl') },
        lora: { ...meta.lora, adapter: join(folder, 'adapter-initial') },
      });
      expectHistory(metrics, meta.history);
      const [ours, theirs] = await Promise.all(
        [outputDir, join(folder, 'adapter-final')].map((at) =>
          openTensorFile(join(at, 'adapter_model.safetensors')),
        ),
      );
      expect(ours?.tensorNames().toSorted()).toEqual(theirs?.tensorNames().toSorted());
      for (const tensor of theirs?.tensorNames() ?? []) {
        const [got, want] = [await ours?.read(tensor), (await theirs?.read(tensor)) ?? new Float32Array()];
        const largest = want.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        const worst = want.reduce((w, x, i) => Math.max(w, Math.abs((got?.[i] ?? NaN) - x)), 0);
        expect(worst / largest, tensor).toBeLessThan(1e-3);
      }
      await Promise.all([ours?.close(), theirs?.close()]);
    });
});
