import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataRow, Metrics, Model, PairData, TrainerOptions, TrainingStep } from '../../index.ts';
import { loadModel, PrefgradError, Trainer } from '../../index.ts';
import { lossMetricNames, stepMetricNames } from '../../trainer/library/metrics.ts';
import { fresh } from './runs.ts';

const stories = join(import.meta.dirname, '../../examples/stories');
const folder = join(stories, 'model');
const pairs = readFileSync(join(stories, 'pairs.jsonl'), 'utf8')
  .split('\n')
  .slice(0, 24)
  .map((line) => JSON.parse(line) as PairData);
const texts = pairs.map(({ prompt = '', chosen, rejected }) => ({ prompt, chosen, rejected }));

/** The shipped model, as a page gets it. */
function blobs(): { name: string; blob: Blob }[] {
  return ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'].map((name) => ({
    name,
    blob: new Blob([readFileSync(join(folder, name))]),
  }));
}

const quick = {
  ...{ perDeviceTrainBatchSize: 2, maxSteps: 3, learningRate: 1e-3, maxLength: 64, loggingSteps: 1 },
  sampling: { prompts: 2, maxNewTokens: 8 },
} as const;
const open = () => loadModel(folder, { device: 'wasm', threads: 1 });

describe('loadModel, generate and score', () => {
  let model: Model;
  beforeAll(async () => (model = await open()));
  afterAll(() => model.dispose());

  it('streams the pieces of what it also gives as a whole', async () => {
    const generation = model.generate('At the end of winter, Ada', { maxNewTokens: 24 });
    const pieces: string[] = [];
    for await (const piece of generation) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(5);
    const { text, tokens, finishReason } = await generation.result();
    expect(pieces.join('')).toBe(text);
    expect([tokens, finishReason]).toEqual([24, 'length']);
  });

  it('stops a completion when the loop is left, and when the signal says so', async () => {
    for await (const piece of model.generate('Ada')) if (piece !== '') break;
    expect(await model.generate('Ada', { maxNewTokens: 2 }).text()).not.toBe('');
    const stop = new AbortController();
    const aborted = (async () => {
      for await (const _ of model.generate('Ada', { signal: stop.signal, maxNewTokens: 64 }))
        stop.abort('enough');
    })();
    await expect(aborted).rejects.toBe('enough');
  });

  it('samples by a seed', async () => {
    const text = (seed: number) => model.generate('Ada', { temperature: 1, seed, maxNewTokens: 16 }).text();
    expect(await text(1)).toBe(await text(1));
    expect(await text(1)).not.toBe(await text(2));
  });

  it('says that a model without a chat template takes no messages', async () => {
    const asked = model.generate([{ role: 'user', content: 'Hello' }]).text();
    await expect(asked).rejects.toThrow(/no chat template/);
  });

  it('scores pairs and completions alike, whatever stands beside them', async () => {
    const [pair] = await model.score(texts.slice(0, 3));
    const [first = { prompt: '', chosen: '' }] = texts;
    const [one] = await model.score([{ prompt: first.prompt, completion: first.chosen }]);
    expect(one.completion.tokens).toBe(pair.chosen.tokens);
    expect(one.completion.logp).toBeCloseTo(pair.chosen.logp, 3);
    expect(pair.rejected.logp).toBeLessThan(0);
    const bad: DataRow[] = [...texts.slice(0, 1), JSON.parse('{"prompt": "x", "completion": 7}') as DataRow];
    await expect(model.score(bad)).rejects.toThrow(/^score: 1 row cannot be scored: rows:2 \(/);
  });

  it('is the same model from Blobs, and from the files that it gives', async () => {
    const expected = await model.score(texts.slice(0, 2));
    const fromBlobs = await loadModel(blobs(), { device: 'wasm', threads: 1 });
    expect(await fromBlobs.score(texts.slice(0, 2))).toEqual(expected);
    const again = await loadModel(await fromBlobs.files(), { device: 'wasm', threads: 1 });
    expect(await again.score(texts.slice(0, 2))).toEqual(expected);
    await Promise.all([fromBlobs.dispose(), again.dispose()]);
    const without = blobs().filter(({ name }) => name !== 'config.json');
    await expect(loadModel(without, { name: 'mine' })).rejects.toThrow(/^mine: has no config\.json/);
  });
});

describe('Trainer', () => {
  it('trains in place, step by step, and what it saves is the trained model', async () => {
    const model = await open();
    const before = await model.score(texts);
    const trainer = new Trainer({ model, data: texts, method: 'dpo', ...quick, maxSteps: 6 });
    const steps: TrainingStep[] = [];
    for await (const step of trainer) {
      steps.push(step);
      if (step.step === 2) break;
    }
    expect(trainer.step).toBe(2);
    for await (const step of trainer) steps.push(step);
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(steps[0].metrics.loss).toBeCloseTo(Math.log(2), 5);
    expect(trainer.rows).toEqual({ train: 24, heldOut: 0, leftOut: 0 });
    expect(trainer.memory.total).toBeGreaterThan(4e6);
    const after = await trainer.model.score(texts);
    const margin = (scores: typeof before) => scores.reduce((n, s) => n + s.chosen.logp - s.rejected.logp, 0);
    expect(margin(after)).toBeGreaterThan(margin(before));
    const saved = fresh('library');
    await trainer.save(saved);
    const loaded = await loadModel(saved, { device: 'wasm', threads: 1 });
    expect(await loaded.score(texts)).toEqual(after);
    await trainer.dispose();
    await Promise.all([loaded.dispose(), model.dispose()]);
  });

  it('takes the same steps as the command line', async () => {
    const { train } = await import('../../trainer/train.node.ts');
    const { parseConfig } = await import('../../trainer/config.ts');
    const outputDir = fresh('library-cli');
    const lines: number[] = [];
    const config = parseConfig({
      ...{
        model: folder,
        data: join(stories, 'heldout.jsonl'),
        output_dir: outputDir,
        method: 'dpo',
        device: 'wasm',
      },
      ...{ threads: 1, per_device_train_batch_size: 2, max_steps: 3, learning_rate: 1e-3, max_length: 64 },
      ...{ logging_steps: 1, save_strategy: 'no', gradient_accumulation_steps: 2 },
    });
    const signal = new AbortController().signal;
    await train(config, {
      signal,
      onEvent: (event) => void (event.type === 'step' && lines.push(event.metrics['loss'])),
    });
    const rows = new Blob([readFileSync(join(stories, 'heldout.jsonl'))]);
    const own: number[] = [];
    const trainer = await Trainer.create({
      ...{ model: folder, device: 'wasm', threads: 1, data: rows, method: 'dpo', ...quick },
      gradientAccumulationSteps: 2,
      callbacks: { onStep: ({ metrics }) => void own.push(metrics.loss) },
    });
    expect(await trainer.train()).toEqual({ status: 'done', step: 3 });
    await trainer.dispose();
    expect(own).toEqual(lines);
    expect(own).toHaveLength(3);
  });

  it('combines functions, built-in rewards and columns for HPO, and evaluates', async () => {
    const model = await open();
    const rows = texts.map((row, i) => ({ ...row, chosen_taste: i % 3, rejected_taste: 1 }));
    const seen: string[] = [];
    const trainer = new Trainer({
      ...{ model, data: rows, evalData: rows.slice(0, 4), method: 'hpo', ...quick },
      ...{ hpo: { base: 'ipo', actorWarmupSteps: 0, gamma: 0.5 }, evalStrategy: 'steps', evalSteps: 2 },
      rewards: [
        { name: 'brief', score: (_, completion) => 1 / (1 + completion.length), weight: 2 },
        { name: 'length', target: 40 },
        { column: 'taste' },
      ],
      callbacks: {
        onLog: ({ step }) => void seen.push(`log ${step}`),
        onEvaluate: ({ step }) => void seen.push(`evaluate ${step}`),
        onStep: async ({ step }) => void seen.push(`step ${step}`),
      },
    });
    let last: Metrics | undefined;
    for await (const { metrics } of trainer) last = metrics;
    expect(seen.join()).toBe('log 1,step 1,log 2,evaluate 2,step 2,log 3,evaluate 3,step 3');
    expect(last?.['auxiliary/brief/chosen']).toBeGreaterThan(0);
    expect(last?.['loss/actor']).toBeTypeOf('number');
    expect(await trainer.train()).toMatchObject({ status: 'done', evaluation: { pairs: 4, step: 3 } });
    await trainer.dispose();
    await model.dispose();
  }, 30_000);

  it('trains adapters: what is saved is the adapter, and the base stays as it was', async () => {
    const model = await open();
    const before = await model.score(texts.slice(0, 2));
    const trainer = new Trainer({
      ...{ model, data: texts, method: 'dpo', ...quick, learningRate: 1e-2 },
      lora: { r: 4, targetModules: 'all-linear' },
    });
    expect(await trainer.train()).toEqual({ status: 'done', step: 3 });
    const after = await trainer.model.score(texts.slice(0, 2));
    expect(after).not.toEqual(before);
    expect(await model.score(texts.slice(0, 2))).toEqual(before);
    expect((await trainer.files()).map(({ name }) => name)).toContain('adapter_model.safetensors');
    const saved = fresh('library-lora');
    await trainer.save(saved);
    const loaded = await loadModel(saved, { device: 'wasm', threads: 1 });
    const again = await loaded.score(texts.slice(0, 2));
    expect(again[0].chosen.logp).toBeCloseTo(after[0].chosen.logp, 2);
    await trainer.dispose();
    await Promise.all([loaded.dispose(), model.dispose()]);
  });

  it('ends by the signal, and early where evaluations get no better', async () => {
    const model = await open();
    const stop = new AbortController();
    const trainer = new Trainer({
      ...{ model, data: texts, method: 'sft', ...quick, maxSteps: 50, signal: stop.signal },
      callbacks: { onStep: ({ step }) => step === 2 && stop.abort() },
    });
    expect(await trainer.train()).toEqual({ status: 'stopped', step: 2 });
    await trainer.dispose();
    await expect(
      new Trainer({ model, data: texts, method: 'sft', signal: AbortSignal.abort('no') }).train(),
    ).rejects.toBe('no');
    const early = new Trainer({
      ...{
        model,
        data: texts,
        evalData: texts.slice(0, 2),
        method: 'sft',
        ...quick,
        maxSteps: 50,
        learningRate: 0,
      },
      ...{ evalStrategy: 'steps', evalSteps: 1, earlyStoppingPatience: 2, sampling: { prompts: 0 } },
    });
    expect(await early.train()).toMatchObject({ status: 'early', step: 3 });
    await early.dispose();
    await model.dispose();
  });

  it('has a type for every metric', async () => {
    const model = await open();
    const kto = texts.map(({ prompt, chosen }, i) => ({ prompt, completion: chosen, label: i % 2 === 0 }));
    const runs: Pick<TrainerOptions, 'data' | 'method' | 'lossType' | 'lossWeights' | 'rewards'>[] = [
      { data: texts, method: 'dpo', lossType: ['sigmoid', 'sft'], lossWeights: [1, 1] },
      ...(['orpo', 'simpo', 'cpo'] as const).map(
        (lossType) => ({ data: texts, method: 'dpo' as const, lossType }) as const,
      ),
      { data: kto, method: 'kto' },
      { data: texts, method: 'sft' },
      { data: texts, method: 'hpo', rewards: [{ name: 'length', target: 40 }] },
    ];
    const known = new Set<string>([...stepMetricNames, ...lossMetricNames]);
    for (const run of runs) {
      const trainer = new Trainer({ model, ...quick, ...run, maxSteps: 1 });
      for await (const { metrics } of trainer) {
        const names = Object.keys(metrics);
        expect(names.filter((name) => !known.has(name) && !name.startsWith('auxiliary/length/'))).toEqual([]);
        expect(names).toEqual(expect.arrayContaining([...stepMetricNames]));
      }
      await trainer.dispose();
    }
    await model.dispose();
  }, 30_000);

  it('computes blocks again where that is asked for: the same bits in less memory', async () => {
    const run = async (gradientCheckpointing: boolean) => {
      const model = await open();
      const trainer = await Trainer.create({
        ...{ model, data: texts, method: 'dpo', ...quick, gradientCheckpointing },
      });
      const losses: number[] = [];
      for await (const { metrics } of trainer) losses.push(metrics.loss);
      const { arena, logitsKept, blocksRecomputed } = trainer.memory;
      await trainer.dispose();
      await model.dispose();
      return { losses, arena, logitsKept, blocksRecomputed };
    };
    const [kept, again] = [await run(false), await run(true)];
    expect(again.losses).toEqual(kept.losses);
    expect(again.arena).toBeLessThan(kept.arena);
    expect(kept).toMatchObject({ logitsKept: true, blocksRecomputed: false });
    expect(again).toMatchObject({ logitsKept: false, blocksRecomputed: true });
  });

  it('says what is wrong with settings and data', async () => {
    const given = { model: folder, data: texts, method: 'dpo' } as const;
    const wrong = (more: object, sentence: RegExp) =>
      expect(() => new Trainer({ ...given, ...more })).toThrow(sentence);
    wrong({ learningrate: 1 }, /learningrate: is no key of the configuration; did you mean learning_rate\?/);
    wrong({ beta: 'much' }, /^Trainer: beta: /);
    wrong({ saveSteps: 5 }, /^Trainer: saveSteps belongs to runs from files/);
    wrong({ save_total_limit: 5 }, /^Trainer: saveTotalLimit belongs to runs from files/);
    wrong({ evalStrategy: 'steps' }, /eval_strategy: steps needs eval_data/);
    wrong({ method: 'hpo' }, /rewards: method hpo needs at least one/);
    const trainer = new Trainer(given);
    expect(() => trainer.totalSteps).toThrow(PrefgradError);
    const rows = (data: unknown) =>
      Trainer.create({ ...given, data: data as DataRow[], device: 'wasm', threads: 1 });
    await expect(rows([])).rejects.toThrow('data: has no rows; give at least one');
    await expect(rows([texts[0], 'text'])).rejects.toThrow(/^data:2: is .*, expected an object/);
    await expect(rows([{ prompt: 'x', chosen: 'y' }])).rejects.toThrow(
      /data:1 \(has chosen without rejected\)/,
    );
    await expect(Trainer.create(given).then((t) => t.evaluate())).rejects.toThrow(
      /give the trainer evalData/,
    );
  });
});
