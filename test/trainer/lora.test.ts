import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openModelFiles } from '../../models/files/open.ts';
import { evaluateFile } from '../../trainer/evaluate.node.ts';
import type { TrainEvent } from '../../trainer/events.ts';
import { generateText } from '../../trainer/generate.node.ts';
import { mergeFiles } from '../../trainer/merge.node.ts';
import { scoreFile } from '../../trainer/score.node.ts';
import type { FinishedRun } from './runs.ts';
import { fresh, readRows, runTraining, withoutTimes, writeRows } from './runs.ts';
import { textPairs, tinyConfig, writeTinyModel } from './tinyModel.ts';

let model = '';
let data = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'), tinyConfig('llama'));
  data = writeRows(textPairs(7));
});

const common = (): Record<string, unknown> => ({
  ...{ model, data, method: 'dpo', max_steps: 5, logging_steps: 1, save_strategy: 'no', seed: 5 },
  ...{ per_device_train_batch_size: 2, learning_rate: 0.01, lr_scheduler_type: 'constant', max_length: 60 },
  ...{ device: 'wasm' },
});
const lora = { r: 4, lora_alpha: 8, target_modules: 'all-linear' };
const quiet = { onEvent: () => {} };

async function scores(of: string): Promise<unknown[]> {
  const out = fresh('scores.jsonl');
  await scoreFile({ model: of, data, out, addBos: false, device: 'wasm', threads: 1 }, quiet);
  return readRows(out);
}

const startOf = ({ events }: FinishedRun) =>
  events.find((event): event is TrainEvent & { type: 'start' } => event.type === 'start');
const memoryOf = ({ events }: FinishedRun) =>
  events.find((event): event is TrainEvent & { type: 'memory' } => event.type === 'memory')?.plan;

describe('a LoRA run', () => {
  it('writes a folder of PEFT’s that generate, score, evaluate and merge take', async () => {
    const { outputDir, metrics } = await runTraining({ ...common(), lora });
    expect(
      readdirSync(outputDir)
        .filter((name) => !name.startsWith('events.'))
        .toSorted(),
    ).toEqual(
      ['adapter_config.json', 'adapter_model.safetensors', 'metrics.jsonl', 'report.html'].concat([
        'tokenizer.json',
        'tokenizer_config.json',
      ]),
    );
    expect(JSON.parse(readFileSync(join(outputDir, 'adapter_config.json'), 'utf8'))).toMatchObject({
      ...{ peft_type: 'LORA', task_type: 'CAUSAL_LM', base_model_name_or_path: model, r: 4, lora_alpha: 8 },
      target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    });
    // The reference is the model without adapters, and fresh adapters add nothing.
    expect(metrics[0]).toMatchObject({ 'rewards/chosen': 0, 'rewards/rejected': 0 });
    expect(metrics[4]?.['rewards/margins']).not.toBe(0);

    const [before, after] = [await scores(model), await scores(outputDir)];
    expect(after).not.toEqual(before);
    const merged = fresh('merged');
    await mergeFiles({ model: outputDir, out: merged, dtype: 'f32', device: 'wasm', threads: 1 }, quiet);
    expect(await scores(merged)).toEqual(after);
    expect(JSON.parse(readFileSync(join(merged, 'config.json'), 'utf8'))).toMatchObject({
      model_type: 'llama',
    });

    const say = { prompt: '1. river', chat: false, maxNewTokens: 5, temperature: 0, seed: 1 };
    const text = async (of: string) =>
      (await generateText({ ...say, model: of, device: 'wasm', threads: 1 }, { ...quiet, onText: () => {} }))
        .completion;
    expect(await text(outputDir)).toBe(await text(merged));
    const evaluated = await evaluateFile(
      { model: outputDir, reference: model, data, device: 'wasm', threads: 1, maxLength: 60 },
      quiet,
    );
    expect(evaluated.metrics['rewards/margins']).not.toBe(0);
  });

  it('trains adapters alone: counts, memory, and files', async () => {
    const [full, adapted] = [await runTraining(common()), await runTraining({ ...common(), lora })];
    const [whole, parts] = [startOf(full), startOf(adapted)];
    // r (in + out) of q, k, v, o, gate, up and down in 2 blocks: width 24, 3 heads of 8, one of them for k and v.
    const trained = 2 * 4 * (48 + 32 + 32 + 48 + 3 * 64);
    expect(parts).toMatchObject({
      trainableParameters: trained,
      parameters: (whole?.parameters ?? 0) + trained,
    });
    const [before, after] = [memoryOf(full), memoryOf(adapted)];
    expect(after).toMatchObject({
      parameters: (before?.parameters ?? 0) + 4 * trained,
      gradients: 4 * trained,
      optimizer: 8 * trained,
    });
  });

  it.each([
    ['DoRA with dropout', { ...lora, use_dora: true, lora_dropout: 0.2 }, { method: 'dpo' }],
    [
      'HPO',
      lora,
      {
        method: 'hpo',
        rewards: [{ name: 'length' }],
        hpo: { actor_warmup_steps: 1, value_learning_rate: 0.01 },
      },
    ],
  ])('goes on from a checkpoint, bit for bit: %s', async (_, settings, changes) => {
    const keys = { ...common(), ...changes, lora: settings };
    const whole = await runTraining(keys);
    const controller = new AbortController();
    const outputDir = fresh();
    await runTraining(
      { ...keys, output_dir: outputDir },
      {
        signal: controller.signal,
        onEvent: (event) => event.type === 'step' && event.step === 3 && controller.abort(),
      },
    );
    expect(existsSync(join(outputDir, 'checkpoint-3/adapter_model.safetensors'))).toBe(true);
    expect(existsSync(join(outputDir, 'checkpoint-3/model.safetensors'))).toBe(false);
    const resumed = await runTraining({ ...keys, output_dir: outputDir, resume_from_checkpoint: true });
    expect(withoutTimes(resumed.metrics)).toEqual(withoutTimes(whole.metrics));
    const [a, b] = [whole.outputDir, outputDir].map((at) =>
      readFileSync(join(at, 'adapter_model.safetensors')),
    );
    expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true);
    await expect(
      runTraining({
        ...keys,
        output_dir: outputDir,
        resume_from_checkpoint: true,
        lora: { ...settings, r: 2 },
      }),
    ).rejects.toThrow(/had lora .*, this one has/);
  });

  it('starts from an adapter, as which it goes on', async () => {
    const first = await runTraining({ ...common(), lora });
    const second = await runTraining({ ...common(), learning_rate: 0, lora: { adapter: first.outputDir } });
    const [a, b] = [first, second].map(({ outputDir }) =>
      ['adapter_model.safetensors', 'adapter_config.json'].map((file) =>
        readFileSync(join(outputDir, file), 'utf8'),
      ),
    );
    expect(b).toEqual(a);
    expect(second.metrics[0]?.['rewards/margins']).not.toBe(0);
  });

  it('says what does not fit', async () => {
    const { outputDir } = await runTraining({
      ...common(),
      max_steps: 1,
      lora: { r: 2, target_modules: ['q_proj'] },
    });
    const train = (keys: Record<string, unknown>) => runTraining({ ...common(), ...keys });
    const adapter = { adapter: outputDir };
    await expect(train({ lora: { ...adapter, r: 8 } })).rejects.toThrow(
      `lora.r: is 8, but the adapter ${outputDir} has 2; leave it out`,
    );
    await expect(train({ lora: { ...adapter, target_modules: ['v_proj'] } })).rejects.toThrow(
      /lora\.target_modules/,
    );
    await expect(train({ model: outputDir, lora })).rejects.toThrow(/is an adapter itself/);
    await expect(train({ output_dir: outputDir })).rejects.toThrow(
      /holds an adapter \(adapter_config\.json\)/,
    );
    await expect(train({ lora: { adapter: model } })).rejects.toThrow(/has no adapter_config\.json/);
    await expect(
      mergeFiles({ model, out: fresh(), dtype: 'f32', device: 'wasm', threads: 1 }, quiet),
    ).rejects.toThrow(/is a whole model, expected a folder with adapter_config\.json/);
    const other = await writeTinyModel(fresh('model'), tinyConfig('gpt2'));
    await expect(train({ model: other, lora: adapter })).rejects.toThrow(
      /q_proj is no linear layer of a gpt2 model/,
    );
    const wide = await writeTinyModel(fresh('model'), tinyConfig('llama', { num_attention_heads: 4 }));
    await expect(train({ model: wide, lora: adapter })).rejects.toThrow(
      /lora_B\.weight is \[24, 2\], .*\[32, 2\]/,
    );
    const deep = await writeTinyModel(fresh('model'), tinyConfig('llama', { num_hidden_layers: 1 }));
    await expect(train({ model: deep, lora: adapter })).rejects.toThrow(
      /layers\.1\..* belongs to no adapter/,
    );
  });

  it('finds the base model beside the adapter', async () => {
    const { outputDir } = await runTraining({ ...common(), max_steps: 1, lora });
    const path = join(outputDir, 'adapter_config.json');
    const json = JSON.parse(readFileSync(path, 'utf8')) as object;
    const name = (base: string) =>
      writeFileSync(path, JSON.stringify({ ...json, base_model_name_or_path: base }));
    name(model.slice(model.lastIndexOf('/') + 1));
    const files = await openModelFiles(outputDir);
    expect(files.tensorNames()).toContain('model.embed_tokens.weight');
    await files.close();
    name('../nowhere');
    await expect(openModelFiles(outputDir)).rejects.toThrow(
      /names the base model \.\.\/nowhere, which is not there/,
    );
    name('');
    await expect(openModelFiles(outputDir)).rejects.toThrow(/has no base_model_name_or_path/);
    name(outputDir);
    await expect(openModelFiles(outputDir)).rejects.toThrow(
      /its base .* is an adapter too; merge that one first/,
    );
  });
});
