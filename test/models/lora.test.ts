import { afterAll, describe, expect, it } from 'vitest';
import type { Device, Numbers } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice, compile, grad, i32, mean, sizeOf, square } from '../../engine/index.ts';
import { loraDefaults, parseAdapterConfig, type LoraConfig } from '../../models/lora/config.ts';
import { Lora } from '../../models/lora/lora.ts';
import { MergedLora } from '../../models/lora/merge.ts';
import { adapterConfigJson } from '../../models/lora/save.ts';
import { findTargets } from '../../models/lora/targets.ts';
import type { LanguageModel } from '../../models/model.ts';
import { initialiseWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { Random } from '../../trainer/data/random.ts';
import { normalOf, tinyConfig } from '../trainer/tinyModel.ts';

const devices: Device[] = [new ReferenceDevice(), await WasmDevice.create({ threads: 2 })];
afterAll(async () => {
  for (const device of devices) await device.dispose();
});

const random = new Random(3);
const kinds: Readonly<Record<string, Partial<LoraConfig>>> = {
  LoRA: {},
  DoRA: { useDora: true },
  'rsLoRA of several ranks': {
    useRslora: true,
    rankPattern: { up_proj: 5, c_fc: 5 },
    alphaPattern: { '0.*': 3 },
  },
};

function random1(count: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.uniform() - 0.5);
}

/** A random model on a device, with adapters that are not zero. */
async function open(device: Device, type: 'llama' | 'gpt2' | 'qwen2', changes: Partial<LoraConfig>) {
  const model = createModel(tinyConfig(type));
  initialiseWeights(model, device, normalOf(new Random(5)));
  for (const { bias } of model.linears) if (bias) device.write(bias, random1(sizeOf(bias.type.shape)));
  const lora = new Lora(model, { ...loraDefaults, r: 3, targetModules: 'all-linear', ...changes });
  await lora.start(device, () => random.uniform());
  return { model, lora };
}

const disturb = (device: Device, { layers }: Lora): void => {
  for (const { b, magnitude } of layers) {
    device.write(b, random1(sizeOf(b.type.shape)));
    if (magnitude)
      device.write(
        magnitude,
        random1(sizeOf(magnitude.type.shape)).map((x) => 2 + x),
      );
  }
};

const tokens = Int32Array.from({ length: 9 }, () => random.below(257));
const batch = { tokens, positions: tokens.map((_, i) => i), segments: [0, 9, 0, 9, 0, 0] };

async function hidden(device: Device, model: LanguageModel, dropoutSeed?: number): Promise<Numbers> {
  const types = { ...modelInputTypes(9, 1), ...(dropoutSeed === undefined ? {} : { dropoutSeed: i32([1]) }) };
  const program = compile('hidden', types, (given) => ({ outputs: { hidden: model.hidden(given) } }));
  const executable = await device.load(program);
  const given = dropoutSeed === undefined ? batch : { ...batch, dropoutSeed: [dropoutSeed] };
  const { hidden: h = new Float32Array() } = await executable.run(given);
  executable.dispose();
  return h;
}

const distance = (a: Numbers, b: Numbers): number =>
  Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (b[i] ?? NaN))), 0);

for (const device of devices)
  describe(`adapters on ${device.description}`, () => {
    const near = device.kind === 'reference' ? 1e-5 : 2e-4;
    for (const type of ['llama', 'gpt2', 'qwen2'] as const)
      for (const [kind, changes] of Object.entries(kinds))
        it(`${kind} on ${type}: start as nothing, add, merge, and are taken out again`, async () => {
          const { model, lora } = await open(device, type, changes);
          const before = await hidden(device, model);
          expect(distance(await hidden(device, lora.model), before)).toBeLessThan(near);
          disturb(device, lora);
          const adapted = await hidden(device, lora.model);
          expect(distance(adapted, before)).toBeGreaterThan(0.1);
          expect(await hidden(device, model), 'the base is what it was').toEqual(before);
          const merged = await MergedLora.merge(lora, device);
          expect(distance(await hidden(device, model), adapted)).toBeLessThan(near);
          await merged.unmerge();
          expect(distance(await hidden(device, model), before)).toBeLessThan(near);
          await expect(merged.unmerge()).rejects.toThrow(/are not merged/);
        });

    for (const useDora of [false, true])
      it(`dropout needs a seed, and drops${useDora ? ' what DoRA scales too' : ''}`, async () => {
        const { lora } = await open(device, 'qwen2', { useDora, loraDropout: 0.5 });
        disturb(device, lora);
        const whole = await hidden(device, lora.model);
        const [one, again, two] = [
          await hidden(device, lora.model, 1),
          await hidden(device, lora.model, 1),
          await hidden(device, lora.model, 2),
        ];
        expect(again).toEqual(one);
        expect(distance(one, whole)).toBeGreaterThan(0.1);
        expect(distance(one, two)).toBeGreaterThan(0.1);
        // What drops (almost) nothing takes the other path to the same numbers.
        const rarely = new Lora(lora.base, { ...lora.config, loraDropout: 1e-9 });
        for (const [i, { variable }] of rarely.parameters.entries()) {
          const from = lora.parameters[i]?.variable;
          if (from) device.write(variable, await device.read(from));
        }
        expect(distance(await hidden(device, rarely.model, 1), whole)).toBeLessThan(near);
      });
  });

describe('a training program', () => {
  it('has no product for a frozen weight’s gradient', () => {
    const model = createModel(tinyConfig('gpt2'));
    const { model: adapted } = new Lora(model, { ...loraDefaults, r: 3, targetModules: 'all-linear' });
    const weights = new Set(model.linears.map(({ weight }) => weight.type.shape.join()));
    const made = (of: LanguageModel): number =>
      compile('train', modelInputTypes(9, 1), (given) => {
        const loss = mean(square(of.hidden(given)));
        const wrt = of.parameters.map((p) => p.variable.tensor);
        return { outputs: Object.fromEntries(grad(loss, wrt).map((g, i) => [`${i}`, g])) };
      }).nodes.filter((node) => node.inputs.length > 0 && weights.has(node.types[0]?.shape.join() ?? ''))
        .length;
    expect(made(model)).toBeGreaterThan(0);
    expect(made(adapted)).toBe(0);
  });
});

describe('target modules', () => {
  const llama = createModel(tinyConfig('llama', { tie_word_embeddings: false }));
  const gpt2 = createModel(tinyConfig('gpt2'));
  const neox = createModel({
    ...{
      model_type: 'gpt_neox',
      vocab_size: 30,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    },
    ...{ intermediate_size: 16, max_position_embeddings: 32 },
  });
  const found = (model: LanguageModel, changes: Partial<LoraConfig>) =>
    findTargets(model, { ...loraDefaults, ...changes }).map(({ name }) => name);

  it('are found as PEFT finds them', () => {
    expect(found(llama, { targetModules: ['q_proj', '1.mlp.up_proj'] })).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.1.self_attn.q_proj',
      'model.layers.1.mlp.up_proj',
    ]);
    expect(
      found(llama, { targetModules: '.*\\.(?P<block>0)\\..*_proj', excludeModules: '.*self_attn.*' }),
    ).toEqual(['gate', 'up', 'down'].map((kind) => `model.layers.0.mlp.${kind}_proj`));
    expect(found(llama, { targetModules: ['v_proj'], layersToTransform: [1] })).toEqual([
      'model.layers.1.self_attn.v_proj',
    ]);
    expect(found(gpt2, {})).toEqual(['transformer.h.0.attn.c_attn', 'transformer.h.1.attn.c_attn']);
    expect(found(llama, { targetModules: 'ALL-linear' }).length).toBe(14);
    expect(found(gpt2, { targetModules: 'all-linear' }).length).toBe(8);
    expect(found(neox, { targetModules: 'all-linear' })).toEqual(
      ['attention.query_key_value', 'attention.dense', 'mlp.dense_h_to_4h', 'mlp.dense_4h_to_h'].map(
        (name) => `gpt_neox.layers.0.${name}`,
      ),
    );
  });

  it.each([
    [['q_proj', 'v_prj'], /v_prj is no linear layer of a llama model; there are q_proj, k_proj/],
    [['lm_head'], /lm_head is an embedding or the output head/],
    ['.*nothing', /"\.\*nothing" matches no linear layer of a llama model, such as model\.layers\.0/],
    ['(', /"\(" is no regular expression/],
  ])('%j are refused', (targetModules, message) => {
    expect(() => found(llama, { targetModules })).toThrow(message);
  });
});

describe('adapter_config.json', () => {
  const least = { peft_type: 'LORA' };
  it('comes back as it was written', () => {
    const config: LoraConfig = {
      ...loraDefaults,
      ...{ r: 5, loraAlpha: 7, loraDropout: 0.1, useRslora: true, useDora: true, targetModules: ['q_proj'] },
      ...{
        excludeModules: 'x',
        layersToTransform: [1],
        layersPattern: ['layers'],
        rankPattern: { q_proj: 2 },
      },
    };
    const json = adapterConfigJson(new Lora(createModel(tinyConfig()), config), 'base');
    expect(json).toMatchObject({ peft_type: 'LORA', base_model_name_or_path: 'base', fan_in_fan_out: false });
    expect(parseAdapterConfig(json, 'test')).toEqual(config);
  });

  it('says all-linear in words that another model understands', () => {
    const config = { ...loraDefaults, targetModules: 'all-linear' };
    expect(adapterConfigJson(new Lora(createModel(tinyConfig('gpt2')), config), 'base')).toMatchObject({
      target_modules: ['c_attn', 'c_proj', 'c_fc'],
      fan_in_fan_out: true,
    });
  });

  it.each([
    [{}, 'peft_type is undefined, expected "LORA"; other adapters are not supported'],
    [{ ...least, r: 0 }, 'r is 0, expected a whole number of at least 1'],
    [{ ...least, bias: 'all' }, 'bias is "all", expected "none"'],
    [{ ...least, modules_to_save: ['lm_head'] }, 'modules_to_save is ["lm_head"], expected nothing'],
    [{ ...least, init_lora_weights: 'pissa' }, 'init_lora_weights is "pissa", expected true'],
    [{ ...least, use_dora: 'yes' }, 'use_dora is "yes", expected true or false'],
    [
      { ...least, rank_pattern: { q_proj: 'two' } },
      'rank_pattern is {"q_proj":"two"}, expected numbers by names',
    ],
    [{ ...least, something_new: true }, 'something_new is true, expected nothing'],
  ])('%j is refused', (json, message) => {
    expect(() => parseAdapterConfig(json, 'a/adapter_config.json')).toThrow(
      `a/adapter_config.json: ${message}`,
    );
  });
});
