import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { WasmDevice } from '../../engine/index.ts';
import { dpo } from '../../trainer/losses/dpo.ts';
import { Scorer } from '../../trainer/score.ts';
import { prefgrad } from '../cli/realCli.ts';
import { expectRefused, trainCli, writeText } from './refused.ts';
import { fresh, scratch, writeRows } from './runs.ts';
import { textPairs, tinyConfig, tinyModel, tokenPairs, writeTinyModel } from './tinyModel.ts';
import { openLoop } from './tinyRun.ts';

// What a user gets wrong, through the command line: exit code 1, and one sentence with the place and the cure.

let model = '';
let data = '';
beforeAll(async () => {
  model = await writeTinyModel(fresh('model'));
  data = writeRows(textPairs(5));
});

/** Trains on the whole model and rows, unless the keys name others. */
const train = (keys: Record<string, unknown>, ...overrides: string[]) =>
  trainCli({ model, data, ...keys }, ...overrides);

/** The model's folder with something changed. */
function changed(change: (folder: string) => void): string {
  const folder = fresh('model');
  cpSync(model, folder, { recursive: true });
  change(folder);
  return folder;
}
const changedConfig = (changes: Record<string, unknown>): string =>
  changed((folder) => {
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...config, ...changes }));
  });
describe('a model that is not whole, or another', () => {
  const cases: [string, () => string, RegExp][] = [
    [
      'no tokenizer',
      () => changed((folder) => rmSync(join(folder, 'tokenizer.json'))),
      /model-\d+: tokenizer\.json is missing; save it beside the weights/,
    ],
    [
      'a truncated safetensors file',
      () => changed((folder) => truncateSync(join(folder, 'model.safetensors'), 9000)),
      /model\.safetensors: the file is truncated or damaged: bytes \d+ to \d+ are needed, but it has 9000/,
    ],
    [
      'a truncated safetensors header',
      () => changed((folder) => truncateSync(join(folder, 'model.safetensors'), 100)),
      /model\.safetensors: the file is truncated or damaged: .* it has 100/,
    ],
    [
      'another width in config.json',
      () => changedConfig({ hidden_size: 48 }),
      /model\.embed_tokens\.weight is \[257, 24\], config\.json says \[257, 48\]/,
    ],
    ['one layer more', () => changedConfig({ num_hidden_layers: 3 }), /model\.layers\.2\.\S+ is missing/],
    [
      'half a head',
      () => changedConfig({ num_attention_heads: 2.5 }),
      /num_attention_heads must be a positive whole/,
    ],
    [
      'an odd head_dim',
      () => changedConfig({ head_dim: 7 }),
      /rotary embeddings turn pairs, but a head of 7 has 7 values to rotate; expected an even number/,
    ],
    [
      'an unknown type',
      () => changedConfig({ model_type: 'bert' }),
      /model_type "bert" is not supported; supported: gpt2/,
    ],
    [
      'broken JSON',
      () => changed((folder) => writeFileSync(join(folder, 'config.json'), '{"a": ')),
      /config\.json: is not valid JSON/,
    ],
    ['no such path', () => '/nothing/here/at/all', /there is no such folder or file/],
  ];
  for (const [name, make, message] of cases)
    it(name, async () => {
      expectRefused(await train({ model: make() }), message);
    });

  it('a head count that does not divide the width (gpt2)', async () => {
    const folder = await writeTinyModel(fresh('model'), tinyConfig('gpt2'));
    const path = join(folder, 'config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"n_head":3', '"n_head":5'));
    expectRefused(await train({ model: folder }), /n_head 5 does not divide n_embd 24/);
  });

  it('a tokenizer with more ids than the model knows: the row is named', async () => {
    const small = await writeTinyModel(fresh('model'), tinyConfig('llama', { vocab_size: 100 }));
    const message =
      /rows\.jsonl-\d+:1: has token \d+, but the model's vocab_size is 100; is the tokenizer of this model/;
    expectRefused(await train({ model: small }), message);
    const score = await prefgrad(
      'score',
      '--model',
      small,
      '--data',
      data,
      '--out',
      fresh('out'),
      '--threads',
      '1',
    );
    expect(score.code).toBe(1);
    expect(score.err.replaceAll(scratch, '')).toMatch(message);
    const generate = await prefgrad('generate', '--model', small, '--prompt', 'xyz', '--threads', '1');
    expect([generate.code, generate.out]).toEqual([1, '']);
    expect(generate.err).toContain("prompt 1: has token 120, but the model's vocab_size is 100");
  });
});

describe('the configuration', () => {
  it('an unknown key, with the nearest known one', async () => {
    expectRefused(
      await train({ learning_rat: 1 }),
      /learning_rat: is no key of the configuration; did you mean learning_rate\?/,
    );
    expectRefused(await train({}, 'threds=1'), /threds: is no key .* did you mean threads\?/);
  });

  it('a value out of range, with what is expected', async () => {
    for (const key of ['threads', 'max_length', 'save_total_limit'])
      expectRefused(
        await train({ [key]: 0 }),
        new RegExp(`${key}: got 0, expected a whole number of at least \\d, or null`),
      );
  });

  it('a reward that gives NaN, a module and a value head that are not there', async () => {
    const hpo = { method: 'hpo', rewards: [{ name: 'length' }] };
    const nan = writeText('nan.mjs', 'export default () => NaN;');
    const renamed = `${nan}.mjs`;
    cpSync(nan, renamed);
    expectRefused(
      await train({ ...hpo, rewards: [{ module: renamed, name: 'own' }] }),
      /reward own: gives NaN at \S+:1, expected a finite number; the completion is/,
    );
    expectRefused(
      await train({ ...hpo, rewards: [{ module: '/none.mjs', name: 'own' }] }),
      /reward own: \/none\.mjs can not be read/,
    );
    const head = join(model, 'model.safetensors');
    expectRefused(await train({ ...hpo, hpo: { value_head: head } }), /has no tensor value_head\.0\.weight/);
  });

  it('an output_dir that is no folder, before the model is loaded', async () => {
    const file = writeText('file', 'x');
    for (const outputDir of [file, join(file, 'below')]) {
      const outcome = await train({ output_dir: outputDir });
      expectRefused(
        outcome,
        /output_dir \S+: cannot be written, since file-\d+ is no folder; choose another/,
      );
      expect(outcome.err).not.toContain('loading the model');
    }
  });

  it('a checkpoint of another batch size, and none', async () => {
    const first = await train({ save_strategy: 'steps' });
    expect(first.code).toBe(0);
    rmSync(join(first.outputDir, 'model.safetensors'));
    const again = { output_dir: first.outputDir, resume_from_checkpoint: true };
    expectRefused(
      await train(again, 'per_device_train_batch_size=3'),
      /checkpoint-2\/state\.json: the checkpoint's run had per_device_train_batch_size 2, this one has 3/,
    );
    expectRefused(await train({ resume_from_checkpoint: true }), /has no whole checkpoint; start without it/);
  });
});

describe('more memory than WebAssembly has', () => {
  it('is an error with the bytes before the first step', async () => {
    const wide = await writeTinyModel(
      fresh('model'),
      tinyConfig('llama', { intermediate_size: 100_000, num_hidden_layers: 1 }),
    );
    const rows = writeRows(textPairs(200));
    const outcome = await train({ model: wide, method: 'sft', per_device_train_batch_size: 150, data: rows });
    expectRefused(
      outcome,
      /no room for \d{4} MiB \(intermediate tensors\): \d+ MiB are in use, and .* 4 GiB/,
    );
  });

  it('leaves a device that can go on with less', async () => {
    const device = await WasmDevice.create({ threads: 1 });
    const config = tinyConfig('llama', { intermediate_size: 200_000, num_hidden_layers: 1 });
    const wide = tinyModel(device, config);
    const before = device.memory.variables;
    const open = (count: number) => {
      const keys = { per_device_train_batch_size: count, max_steps: 1 };
      return openLoop({ model: wide, device, loss: dpo(), rows: tokenPairs(count), keys });
    };
    await expect(open(90)).rejects.toThrow(/no room for/);
    expect(device.memory.variables).toBe(before);
    const loop = await open(1);
    for await (const { metrics } of loop.steps()) expect(metrics['loss']).toBeGreaterThan(0);
    loop.dispose();
    await device.dispose();
  });
});

describe('prompts of generate', () => {
  it('that fill the context are refused, a token before that they are not', async () => {
    const run = (length: number) =>
      prefgrad('generate', '--model', model, '--prompt', 'x'.repeat(length), '--threads', '1', '--json');
    const full = await run(96);
    expect([full.code, full.out]).toEqual([1, '']);
    expect(full.err).toContain("the prompt has 96 tokens, but the model's context is 96; shorten it");
    const fits = await run(95);
    expect(fits.code).toBe(0);
    expect((JSON.parse(fits.out) as { tokens: number }).tokens).toBeLessThanOrEqual(1);
  });

  it('as messages need a chat template', async () => {
    const { code, err } = await prefgrad('generate', '--model', model, '--prompt', 'x', '--chat');
    expect(code).toBe(1);
    expect(err).toContain('the model has no chat template');
  });
});

describe('a program that holds the model itself', () => {
  it('is told of rows and sequences that are no input of it', async () => {
    const device = await WasmDevice.create({ threads: 1 });
    const tiny = tinyModel(device);
    const rows = tokenPairs(3);
    const long = { ...rows[1], chosen: { ...rows[1]?.chosen, ids: Array.from({ length: 96 }, () => 1) } };
    const open = (...wrong: unknown[]) =>
      openLoop({ model: tiny, device, loss: dpo(), rows: [rows[0], ...wrong] as typeof rows });
    await expect(open(long)).rejects.toThrow(/pairs\.jsonl:2: has \d+ tokens, but the model's context is 96/);
    await expect(open({ ...rows[2], promptIds: [257] })).rejects.toThrow(/pairs\.jsonl:3: has token 257/);
    const scorer = new Scorer(tiny, device);
    const score = (ids: number[]) => scorer.score([{ promptIds: [1], completions: [[2], ids] }]);
    await expect(score([300])).rejects.toThrow(
      "sequence 1: has token 300, but the model's vocab_size is 257",
    );
    await expect(score(Array.from({ length: 96 }, () => 1))).rejects.toThrow('sequence 1: has 97 tokens');
    await device.dispose();
  });
});
