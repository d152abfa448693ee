// @ts-check
// One run of the reading level's study in README.md: trains adapters with HPO, and measures the first 48 held-out pairs and a sampled
// answer to each of their prompts. Writes runs/smollm2/study/NAME.json: `run` as it stands in reading-level.json, and the
// answers. γ 0 is DPO alone; without GAMMA the model is measured as it is.
// Usage: node examples/smollm2/study.mjs NAME SEED [GAMMA]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, Trainer } from 'prefgrad';
import { Generator } from 'prefgrad/models';
import { Random, Readability } from 'prefgrad/trainer';

const [name = 'run', seedText = '1', gamma] = process.argv.slice(2);
const seed = Number(seedText);
const folder = 'runs/smollm2';
const [PROMPTS, PROMPT_TOKENS, NEW_TOKENS, STREAMS] = [48, 160, 48, 16];
const heldOut = readFileSync(join(folder, 'heldout-48.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .slice(0, PROMPTS)
  .map((line) => /** @type {{ prompt: string; chosen: string; rejected: string }} */ (JSON.parse(line)));

const source = join(folder, 'SmolLM2-135M-Instruct.Q4_1.gguf');
const model = await loadModel(source, { device: 'wasm', threads: 1, maxLength: 256 });
const before = await model.score(heldOut);
let tuned = model;
if (gamma !== undefined) {
  const trainer = await Trainer.create({
    ...{ model, data: join(folder, 'pairs-48.jsonl'), method: 'hpo', beta: 0.1, maxLength: 256, seed },
    ...{ perDeviceTrainBatchSize: 4, maxSteps: 32, learningRate: 1e-3, warmupSteps: 5, loggingSteps: 5 },
    gradientCheckpointing: false,
    lora: {
      ...{ r: 16, loraAlpha: 32, targetModules: 'all-linear' },
      layersToTransform: Array.from({ length: 15 }, (_, i) => 15 + i),
    },
    hpo: { gamma: Number(gamma), lambda: 5, actorWarmupSteps: 6, valueLearningRate: 1e-4 },
    rewards: [{ name: 'reading_level', grade: 'median', hardest: 16 }],
    callbacks: {
      onLog: (line) =>
        console.log(line.step, line['rewards/margins'], line['loss/actor'], line['value/mean']),
      onWarning: (message) => console.warn(message),
    },
  });
  await trainer.train();
  tuned = trainer.model;
}

const after = gamma === undefined ? before : await tuned.score(heldOut);
const generator = new Generator(tuned.network, tuned.session.device, STREAMS, PROMPT_TOKENS + NEW_TOKENS + 2);
const streams = heldOut.map((_, i) => new Random(seed, i));
const written = await generator.generate(
  heldOut.map(({ prompt }) => tuned.tokenizer.encode(prompt)),
  {
    ...{ maxNewTokens: NEW_TOKENS, temperature: 0.7, stopTokens: [2] },
    uniform: (prompt) => streams[prompt]?.uniform() ?? 0,
  },
);
generator.dispose();
const answers = written.map(({ tokens }) => tuned.tokenizer.decode(tokens, { skipSpecialTokens: true }));
const words = answers.map((text) => text.split(/\s+/).filter(Boolean).length);

const readability = await Readability.load();
/** @param {number} x */
const clipped = (x) => Math.min(1, Math.max(0, x));
const medians = answers.map((text) => readability.medianGrade(text));
const rewards = medians.map((grade) => (grade === null ? 0 : clipped((16 - grade) / 12)));
const r1 = answers.map((text) => {
  const grade = readability.grade(text);
  return grade === null ? 0 : clipped((9 - grade) / 5);
});
/** Nats that the chosen answer is likelier than the rejected one. @param {typeof before} scores */
const gaps = (scores) => scores.map(({ chosen, rejected }) => chosen.logp - rejected.logp);
const margins = gaps(after).map((gap, i) => gap - gaps(before)[i]);
const long = words.flatMap((n, i) => (n >= 15 ? [i] : []));
/** @param {number[]} values */
const mean = (values) => Number((values.reduce((a, b) => a + b, 0) / values.length).toFixed(4));
const run = {
  name,
  accuracy: mean(gaps(after).map((gap) => Number(gap > 0))),
  implicitAccuracy: mean(margins.map((margin) => Number(margin > 0))),
  margin: mean(margins),
  reward: mean(rewards),
  r1: mean(r1),
  grade: mean(medians.flatMap((grade) => grade ?? [])),
  words: mean(words),
  long: long.length,
  rewardLong: mean(long.map((i) => rewards[i])),
  r1Long: mean(long.map((i) => r1[i])),
};
console.log(run);
mkdirSync(join(folder, 'study'), { recursive: true });
const measured = { run, seed, gamma: gamma === undefined ? null : Number(gamma), answers };
writeFileSync(join(folder, 'study', `${name}.json`), JSON.stringify(measured));
await model.dispose();
