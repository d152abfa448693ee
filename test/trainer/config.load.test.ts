import { readdirSync, readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PrefgradError } from '../../engine/errors.ts';
import { loadConfig } from '../../trainer/config.node.ts';
import { needsShared, shared } from '../shared.ts';
import { least, mistakes } from './configMistakes.ts';

describe('loadConfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (text: string) => {
    const path = join(folder, 'c.yaml');
    writeFileSync(path, text);
    return path;
  };
  const text =
    'model: org/name\ndata: d.jsonl\nmethod: hpo\nlearningRate: 1e-5\nrewards: [{name: length}, {module: r/own.mjs}]\n';

  it('applies overrides as YAML', () => {
    const config = loadConfig(file(text), [
      'learning_rate=3e-4',
      'hpo.gamma=0.3',
      'hpo.weight_clip=null',
      'rewards[0].weight=2',
      'rewards.1.name=mine',
      'max_steps=7',
    ]);
    expect(config).toMatchObject({
      learningRate: 3e-4,
      maxSteps: 7,
      hpo: { gamma: 0.3, weightClip: null },
      rewards: [{ name: 'length', weight: 2 }, { name: 'mine' }],
    });
  });

  it('resolves paths against the current directory, hub ids aside', () => {
    const config = loadConfig(file(text), [
      'eval_data=e.json',
      'hpo.value_head=v.safetensors',
      'output_dir=o',
    ]);
    expect(config).toMatchObject({
      model: 'org/name',
      data: resolve('d.jsonl'),
      evalData: resolve('e.json'),
      outputDir: resolve('o'),
      hpo: { valueHead: resolve('v.safetensors') },
      rewards: [{ module: null }, { module: resolve('r/own.mjs') }],
    });
    expect(loadConfig(file(text), ['model=test']).model).toBe(resolve('test'));
  });

  it.each([
    'learning_rate',
    '=3',
    'a b=3',
    '__proto__.polluted=1',
    'rewards[5].weight=1',
    'data.path=1',
    'hpo.tau={',
  ])('refuses the override %s', (override) => {
    expect(() => loadConfig(file(text), [override])).toThrow(PrefgradError);
    expect({}).not.toHaveProperty('polluted');
  });

  it('says where YAML is broken', () => {
    const path = file('model: m\ndata: [1, 2\nmethod: dpo\n');
    expect(() => loadConfig(path)).toThrow(/c\.yaml:[23]: is not valid YAML: /);
    expect(() => loadConfig(file(''))).toThrow('is empty');
    expect(() => loadConfig(file('method: dpo\nmethod: kto\n'))).toThrow(
      /c\.yaml:2: is not valid YAML: .*unique/,
    );
    expect(() => loadConfig(join(folder, 'absent.yaml'))).toThrow('cannot be read');
  });

  it('names the file in every mistake', () => {
    const path = file('model: m\ndata: d\nmethod: dpo\nbeta: x\n');
    expect(() => loadConfig(path, ['hpo.gama=1'])).toThrow(`${path}: beta: got "x"`);
  });
});

describe.skipIf(shared('fixtures/trl') === undefined)(`fixtures ${needsShared}`, () => {
  const root = shared('fixtures/trl') ?? '';
  const runs = root === '' ? [] : readdirSync(root).filter((name) => !name.endsWith('.json'));

  it.each(runs)('%s is read', (run) => {
    const meta = JSON.parse(readFileSync(join(root, run, 'meta.json'), 'utf8')) as {
      trainer: string;
      config: Record<string, unknown>;
      lora?: Record<string, unknown> | null;
    };
    const kind = meta.trainer.split('.').at(-1) ?? '';
    const methods: Record<string, unknown> = {
      DPOTrainer: { method: 'dpo' },
      KTOTrainer: { method: 'kto' },
      SFTTrainer: { method: 'sft', completion_only_loss: true },
      CPOTrainer: { method: 'dpo', loss_type: 'cpo', add_bos: true },
      ORPOTrainer: { method: 'dpo', loss_type: 'orpo', add_bos: true },
    };
    const lora =
      meta.lora === undefined || meta.lora === null
        ? {}
        : { lora: { ...meta.lora, lora_dropout: 0, adapter: 'a' } };
    expect(mistakes({ ...least, ...(methods[kind] as object), ...meta.config, ...lora })).toEqual([]);
  });
});
