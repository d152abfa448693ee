import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { ReferenceDevice, WasmDevice, compile, gatherRows, i32, linear } from '../../engine/index.ts';
import { openModelFiles } from '../../models/files/open.ts';
import type { GenerateOptions } from '../../models/generate.ts';
import { Generator } from '../../models/generate.ts';
import type { LanguageModel } from '../../models/model.ts';
import { loadWeights, modelInputTypes } from '../../models/model.ts';
import { createModel } from '../../models/registry.ts';
import { argMax, checkSampling, sampleToken } from '../../models/sampler.ts';
import { Random } from '../../trainer/data/random.ts';
import { needsShared, shared } from '../shared.ts';
import { tinyConfig, tinyModel } from '../trainer/tinyModel.ts';

const reference = new ReferenceDevice();
const wasm = await WasmDevice.create({ threads: 2 });
afterAll(async () => {
  await reference.dispose();
  await wasm.dispose();
});
const devices: Device[] = [reference, wasm];
const fixtures = shared('fixtures/models');

describe.skipIf(!fixtures)(`greedy continuations of Transformers ${needsShared}`, () => {
  for (const device of devices)
    for (const name of ['gpt2', 'llama', 'qwen2'])
      it(`${name} on ${device.kind}, one by one and together`, async () => {
        const files = await openModelFiles(`${fixtures}/${name}`);
        const model = createModel(files.config);
        await loadWeights(model, files, device);
        const { greedy } = JSON.parse(readFileSync(`${fixtures}/${name}/meta.json`, 'utf8')) as {
          greedy: { prompt: number[]; output: number[] }[];
        };
        const prompts = greedy.map(({ prompt }) => prompt);
        const outputs = greedy.map(({ output }) => output);
        expect(outputs.map((o) => o.length)).toEqual([24, 24, 24]);
        for (const sequences of [1, 2, 3]) {
          const generator = new Generator(model, device, sequences, 48);
          const generated = await generator.generate(prompts, { maxNewTokens: 24 });
          expect(generated.map(({ tokens }) => tokens)).toEqual(outputs);
          generator.dispose();
        }
        for (const { variable } of model.parameters) device.free(variable);
        await files.close();
      });
});

/** A model whose next token changes from step to step: weights large enough to be far from uniform. */
const config = tinyConfig('llama', { max_position_embeddings: 700, initializer_range: 0.5, vocab_size: 90 });
const random = new Random(12);
const ids = (length: number) => Array.from({ length }, () => random.below(90));

/** Greedy tokens without a cache: the whole sequence anew for each token. */
async function withoutCache(
  model: LanguageModel,
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  const sequence = [...prompt];
  const length = prompt.length + count;
  const types = { ...modelInputTypes(length, 1), rows: i32([1], 'rows') };
  const executable = await wasm.load(
    compile('whole', types, (given) => ({
      outputs: { logits: linear(gatherRows(model.hidden(given), given.rows), model.head.tensor) },
    })),
  );
  for (let i = 0; i < count; i++) {
    const n = sequence.length;
    const { logits } = await executable.run({
      ...{ tokens: sequence, positions: [...sequence.keys()], segments: [0, n, 0, n, 0, 0], rows: [n - 1] },
    });
    sequence.push(argMax(logits ?? []));
  }
  executable.dispose();
  return sequence.slice(prompt.length);
}

/** Each prompt with random numbers of its own. */
const sampled = (seed: number, options: Partial<GenerateOptions> = {}): GenerateOptions => {
  const streams = new Map<number, Random>();
  return {
    ...{ maxNewTokens: 20, temperature: 1 },
    uniform: (prompt) => {
      const stream = streams.get(prompt) ?? new Random(seed, prompt);
      streams.set(prompt, stream);
      return stream.uniform();
    },
    ...options,
  };
};

describe('the generator', () => {
  const model = tinyModel(wasm, config);

  it('gives the tokens of a model without a cache, for prompts longer than a prefill too', async () => {
    const prompts = [ids(1), ids(255), ids(256), ids(257), ids(601)];
    const generator = new Generator(model, wasm, 3, 640);
    const generated = await generator.generate(prompts, { maxNewTokens: 6 });
    for (const [i, prompt] of prompts.entries())
      expect(generated[i]?.tokens, `${prompt.length} tokens`).toEqual(await withoutCache(model, prompt, 6));
    expect(new Set(generated.flatMap(({ tokens }) => tokens)).size).toBeGreaterThan(5);
    // A second call finds the first one's cache and must not see it.
    const again = await generator.generate([...prompts].reverse(), { maxNewTokens: 6 });
    expect(again.reverse()).toEqual(generated);
    generator.dispose();
  });

  it('samples the same for the same seed, alone and in a batch', async () => {
    const prompts = [ids(3), ids(40), ids(1), ids(300), ids(17)];
    const batch = new Generator(model, wasm, 5, 400);
    const first = await batch.generate(prompts, sampled(4));
    expect(await batch.generate(prompts, sampled(4))).toEqual(first);
    expect(await batch.generate(prompts, sampled(5))).not.toEqual(first);
    const single = new Generator(model, wasm, 1, 400);
    const pairs = new Generator(model, wasm, 2, 400);
    expect(await single.generate(prompts, sampled(4))).toEqual(first);
    expect(await pairs.generate(prompts, sampled(4))).toEqual(first);
    for (const generator of [batch, single, pairs]) generator.dispose();
  });

  it('stops at stop tokens, at maxNewTokens and where the context ends, and tells each token once', async () => {
    const generator = new Generator(model, wasm, 2, 50);
    const prompts = [ids(10), ids(44), ids(49)];
    const told: [number, number][] = [];
    const free = await generator.generate(prompts, {
      maxNewTokens: 12,
      onToken: (prompt, token) => told.push([prompt, token]),
    });
    expect(free.map(({ tokens }) => tokens.length)).toEqual([12, 6, 1]);
    expect(free.map(({ stopped }) => stopped)).toEqual([false, false, false]);
    expect(told.length).toBe(19);
    expect(told.flatMap(([prompt, token]) => (prompt === 1 ? [token] : []))).toEqual(free[1]?.tokens);
    const [long] = free;
    const stop = long?.tokens[5] ?? NaN;
    const until = long?.tokens.indexOf(stop) ?? NaN;
    const [stopped] = await generator.generate(prompts, { maxNewTokens: 12, stopTokens: [stop, 1000] });
    expect(stopped).toEqual({ tokens: long?.tokens.slice(0, until), stopped: true });
    generator.dispose();
  });

  it('refuses what it cannot continue, in words', async () => {
    const generator = new Generator(model, wasm, 1, 20);
    const generate = (prompts: number[][], options: Partial<GenerateOptions> = {}) =>
      generator.generate(prompts, { maxNewTokens: 2, ...options });
    await expect(generate([[1], []])).rejects.toThrow('prompt 2 has no token');
    await expect(generate([ids(20)])).rejects.toThrow('prompt 1 has 20 tokens, which leaves no room');
    await expect(generate([[3, 90]])).rejects.toThrow("token 90, but the model's vocab_size is 90");
    await expect(generate([[3, -1]])).rejects.toThrow('token -1');
    await expect(generate([[1]], { temperature: -1 })).rejects.toThrow(
      'temperature must be 0 or more, got -1',
    );
    expect(() => new Generator(model, wasm, 1, 701)).toThrow(
      "a context of 701 tokens is over the model's 700",
    );
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(generate([[1]], { signal: aborted })).rejects.toThrow('enough');
    generator.dispose();
  });

  it('gives its memory back', async () => {
    const before = wasm.memory;
    for (let i = 0; i < 4; i++) {
      const generator = new Generator(model, wasm, 3, 300);
      await generator.generate([ids(270), ids(5)], { maxNewTokens: 3 });
      expect(wasm.memory.variables).toBeGreaterThan(before.variables);
      generator.dispose();
    }
    expect(wasm.memory.variables).toBe(before.variables);
    const { arena } = wasm.memory;
    const after = wasm.memory.total;
    const generator = new Generator(model, wasm, 3, 300);
    await generator.generate([ids(270)], { maxNewTokens: 3 });
    generator.dispose();
    expect([wasm.memory.total, wasm.memory.arena]).toEqual([after, arena]);
  });
});

describe('sampling', () => {
  /** Probabilities 0.4, 0.3, 0.2, 0.06, 0.04, out of order. */
  const probabilities = [0.06, 0.4, 0.04, 0.3, 0.2];
  const logits = probabilities.map((p) => Math.log(p) + 3);
  /** How often each token comes, of 20,000 draws. */
  function shares(options: Parameters<typeof sampleToken>[1]): number[] {
    const stream = new Random(77);
    const counts = logits.map(() => 0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) counts[sampleToken(logits, options, () => stream.uniform())] += 1 / draws;
    return counts;
  }
  function expectShares(options: Parameters<typeof sampleToken>[1], weights: readonly number[]): void {
    const total = weights.reduce((a, b) => a + b, 0);
    shares(options).forEach((share, i) => {
      const p = (weights[i] ?? NaN) / total;
      // Five standard deviations of a share of 20,000 draws; what is cut away never comes.
      if (p === 0) expect(share).toBe(0);
      else expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 20_000) + 1e-9);
    });
  }

  it('takes the likeliest at temperature 0, the first of equals', () => {
    expect(sampleToken(logits, { temperature: 0, topK: 1 }, () => 0.999)).toBe(1);
    expect(argMax([1, 5, 5, 2])).toBe(1);
  });

  it('draws tokens as often as the temperature says', () => {
    expectShares({ temperature: 1 }, probabilities);
    expectShares(
      { temperature: 0.5 },
      probabilities.map((p) => p ** 2),
    );
    expectShares(
      { temperature: 2 },
      probabilities.map((p) => Math.sqrt(p)),
    );
  });

  it('keeps the k likeliest, and then the fewest that reach p', () => {
    expectShares({ temperature: 1, topK: 2 }, [0, 0.4, 0, 0.3, 0]);
    expectShares({ temperature: 1, topK: 99 }, probabilities);
    expectShares({ temperature: 1, topP: 0.69 }, [0, 0.4, 0, 0.3, 0]);
    expectShares({ temperature: 1, topP: 0.71 }, [0, 0.4, 0, 0.3, 0.2]);
    expectShares({ temperature: 1, topP: 0.01 }, [0, 1, 0, 0, 0]);
    // top-p counts what top-k has left: 0.4 of 0.7 is 0.57 of the whole.
    expectShares({ temperature: 1, topK: 2, topP: 0.56 }, [0, 1, 0, 0, 0]);
    expectShares({ temperature: 1, topK: 2, topP: 0.6 }, [0, 0.4, 0, 0.3, 0]);
    // The temperature comes first: squared, 0.4 alone has 0.55 of the probability.
    expectShares({ temperature: 0.5, topP: 0.53 }, [0, 1, 0, 0, 0]);
  });

  it('refuses settings without a meaning', () => {
    for (const options of [{ temperature: NaN }, { topK: 0 }, { topK: 1.5 }, { topP: 0 }, { topP: 1.01 }])
      expect(() => checkSampling(options), JSON.stringify(options)).toThrow(/must/);
  });
});
