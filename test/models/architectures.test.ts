import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import {
  ReferenceDevice,
  WasmDevice,
  compile,
  gatherRows,
  grad,
  i32,
  linear,
  mean,
  neg,
  tokenLogProbs,
} from '../../engine/index.ts';
import { openReference } from '../../models/files/open.node.ts';
import { openSafetensors } from '../../models/files/safetensors.ts';
import { saveModelFiles } from '../../models/files/save.node.ts';
import { openFileSource } from '../../models/files/source.node.ts';
import { Generator } from '../../models/generate.ts';
import { loadWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';

// Tiny random models that Transformers wrote, with what it computes in float64 (fixtures/models/make.py).
const fixtures = join(import.meta.dirname, '../fixtures/models');
const names = readdirSync(fixtures).filter((name) => !name.includes('.'));

async function open(name: string, device: Device) {
  const files = await openReference(join(fixtures, name));
  const model = createModel(files.config);
  await loadWeights(model, files, device);
  await files.close();
  return model;
}

async function readGolden(name: string) {
  const file = await openSafetensors(await openFileSource(join(fixtures, name, 'golden.safetensors')));
  const tensors = new Map<string, Float64Array>();
  for (const tensor of file.tensorNames()) tensors.set(tensor, await file.readFloat64(tensor));
  await file.close();
  const get = (tensor: string) => tensors.get(tensor) ?? new Float64Array();
  const tokens = Int32Array.from(get('tokens'));
  const lengths = Array.from(get('lengths'));
  const starts = lengths.map((_, s) => lengths.slice(0, s).reduce((a, b) => a + b, 0));
  const results = [...tensors.keys()].filter((t) => !['tokens', 'lengths', 'greedy'].includes(t));
  return { get, tokens, results, sequences: lengths.map((length, s) => ({ start: starts[s] ?? 0, length })) };
}

/** The greatest difference, relative to the greatest value. */
function worst(got: ArrayLike<number>, want: Float64Array): number {
  const scale = want.reduce((most, w) => Math.max(most, Math.abs(w)), 1e-30);
  const off = want.reduce((most, w, i) => Math.max(most, Math.abs((got[i] ?? NaN) - w)), 0);
  return got.length === want.length ? off / scale : Infinity;
}

describe('architectures agree with Transformers', async () => {
  const devices: Device[] = [new ReferenceDevice(), await WasmDevice.create({ threads: 2 })];
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });

  it('there are models of all kinds', () => {
    const kinds = names.map((name) => {
      const config = JSON.parse(readFileSync(join(fixtures, name, 'config.json'), 'utf8')) as {
        model_type: string;
      };
      return config.model_type;
    });
    expect(new Set(kinds)).toEqual(new Set(['gpt2', 'gpt_neox', 'llama', 'mistral', 'qwen2', 'qwen3']));
  });

  for (const device of devices)
    for (const name of names) {
      it(`${name}: logits, loss and every gradient of two packed sequences on ${device.description}`, async () => {
        const model = await open(name, device);
        const { get, tokens, results, sequences } = await readGolden(name);
        const lasts = new Set(sequences.map(({ start, length }) => start + length - 1));
        const rows = Int32Array.from(tokens.keys()).filter((i) => !lasts.has(i));
        const types = {
          ...modelInputTypes(tokens.length + 5, sequences.length + 1),
          rows: i32([rows.length], 'heads'),
          labels: i32([rows.length], 'heads'),
        };
        const program = compile('golden', types, ({ rows: at, labels, ...inputs }) => {
          const hidden = model.hidden(inputs);
          const loss = neg(mean(tokenLogProbs(gatherRows(hidden, at), model.head.tensor, labels)));
          const grads = grad(
            loss,
            model.parameters.map((p) => p.variable.tensor),
          );
          return {
            outputs: {
              loss,
              logits: linear(hidden, model.head.tensor),
              ...Object.fromEntries(model.parameters.map((p, i) => [`grad.${p.variable.name}`, grads[i]])),
            },
          };
        });
        const executable = await device.load(program);
        const outputs = await executable.run({
          tokens,
          positions: sequences.flatMap(({ length }) => Array.from({ length }, (_, i) => i)),
          segments: sequences.flatMap(({ start, length }) => [start, length, start, length, 0, 0]),
          rows,
          labels: rows.map((i) => tokens[i + 1] ?? 0),
        });
        executable.dispose();
        expect(new Set(results)).toEqual(new Set(Object.keys(outputs)));
        const tolerance = device.kind === 'reference' ? 1e-5 : 3e-5;
        for (const key of results) expect(worst(outputs[key] ?? [], get(key)), key).toBeLessThan(tolerance);
      });

      it(`${name}: greedy generation with a cache on ${device.description}`, async () => {
        const model = await open(name, device);
        const { get, tokens, sequences } = await readGolden(name);
        const each = get('greedy').length / sequences.length;
        const generator = new Generator(model, device, sequences.length, model.contextLength);
        const prompts = sequences.map(({ start, length }) => [...tokens.slice(start, start + length)]);
        const got = await generator.generate(prompts, { maxNewTokens: each, temperature: 0 });
        generator.dispose();
        expect(got.flatMap((g) => g.tokens)).toEqual([...get('greedy')]);
      });
    }

  it.each(names)(
    '%s: is saved under the names and with the configuration that it came with',
    async (name) => {
      const [device] = devices;
      const files = await openReference(join(fixtures, name));
      const model = createModel(files.config);
      if (device) await loadWeights(model, files, device);
      const folder = await mkdtemp(join(tmpdir(), 'architecture-'));
      try {
        await saveModelFiles(folder, {
          config: model.config,
          tensors: model.parameters.map(({ variable }) => ({
            name: variable.name,
            shape: variable.type.shape,
            data: async () => Float32Array.from((await device?.read(variable)) ?? []),
          })),
        });
        const saved = await openReference(folder);
        const { torch_dtype: _, ...config } = saved.config;
        const { dtype: __, ...given } = files.config;
        expect(config).toEqual(given);
        expect([...saved.tensorNames()].sort()).toEqual([...files.tensorNames()].sort());
        for (const tensor of saved.tensorNames())
          expect(await saved.read(tensor)).toEqual(await files.read(tensor));
        await saved.close();
      } finally {
        await files.close();
        await rm(folder, { recursive: true });
      }
    },
  );
});
