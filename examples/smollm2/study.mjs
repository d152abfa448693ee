// @ts-check
// One run of the study in README.md: trains adapters with HPO, and writes to FOLDER/study/NAME.json what the first 48
// held-out prompts then have: log-probs of their answers, and a sampled answer each. γ 0 is DPO alone; without GAMMA the
// model is measured as it is. README.md says how long a run takes.
// Usage: node examples/smollm2/study.mjs NAME SEED [GAMMA]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, Trainer } from 'prefgrad';
import { Generator } from 'prefgrad/models';
import { Random } from 'prefgrad/trainer';

const [name = 'run', seedText = '1', gamma] = process.argv.slice(2);
const seed = Number(seedText);
const folder = 'runs/smollm2';
const [PROMPTS, PROMPT_TOKENS, NEW_TOKENS, STREAMS] = [48, 160, 48, 16];
const heldOut = readFileSync(join(folder, 'heldout.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .slice(0, PROMPTS)
  .map((line) => /** @type {{ prompt: string; chosen: string; rejected: string }} */ (JSON.parse(line)));

const source = join(folder, 'SmolLM2-135M-Instruct.Q4_1.gguf');
const model = await loadModel(source, { device: 'wasm', threads: 1, maxLength: 256 });
let tuned = model;
if (gamma !== undefined) {
  const trainer = await Trainer.create({
    ...{ model, data: join(folder, 'pairs.jsonl'), method: 'hpo', beta: 0.1, maxLength: 256, seed },
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

const scores = await tuned.score(heldOut);
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
mkdirSync(join(folder, 'study'), { recursive: true });
const measured = {
  ...{ name, seed, gamma: gamma === undefined ? null : Number(gamma) },
  logps: scores.map(({ chosen, rejected }) => [chosen.logp, rejected.logp]),
  answers: written.map(({ tokens }) => tuned.tokenizer.decode(tokens, { skipSpecialTokens: true })),
};
writeFileSync(join(folder, 'study', `${name}.json`), JSON.stringify(measured));
await model.dispose();
