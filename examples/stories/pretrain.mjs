// @ts-check
// Pretrains the small GPT of this example on the grammar's corpus, with prefgrad's own engine, and writes
// model/model.safetensors in float16. About ten minutes on two cores.
// node examples/stories/pretrain.mjs [--steps N] [--out FOLDER]     (after npm ci)
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  Random,
  Tokenizer,
  TrainingLoop,
  createModel,
  initialiseWeights,
  openDevice,
  parseSettings,
  saveModelFiles,
  sft,
} from 'prefgrad';
import { CORPUS, corpus } from './generate.mjs';

const { values } = parseArgs({ options: { steps: { type: 'string' }, out: { type: 'string' } } });
const here = import.meta.dirname;
const folder = join(here, 'model');
/**
 * @param {string} name
 * @returns {Record<string, unknown>}
 */
function json(name) {
  /** @type {unknown} */
  const value = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  return /** @type {Record<string, unknown>} */ (value);
}
const tokenizer = new Tokenizer({ json: json('tokenizer.json'), config: json('tokenizer_config.json') });
const eos = tokenizer.eosTokenId ?? 0;

/** Each story is one sequence, whose first token nothing predicts; EOS ends it. No BOS: tuning puts none either. */
const rows = [...corpus(CORPUS)].map(({ text }, line) => ({
  kind: /** @type {const} */ ('completion'),
  origin: { file: 'corpus', line: line + 1 },
  promptIds: [],
  promptText: '',
  completion: { ids: [...tokenizer.encode(text), eos], text, klIds: null },
}));

const settings = parseSettings(
  {
    method: 'sft',
    max_steps: Number(values.steps ?? 2400),
    per_device_train_batch_size: 32,
    learning_rate: 2e-3,
    lr_scheduler_type: 'cosine',
    warmup_steps: 100,
    adam_beta2: 0.98,
    weight_decay: 0.05,
    seed: 1,
  },
  { source: 'pretrain.mjs' },
);
const device = await openDevice({ device: 'auto' });
const model = createModel(json('config.json'));
const random = new Random(settings.seed, 0);
/** A normal number from two uniform ones (Box–Muller). */
const normal = () =>
  Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
initialiseWeights(model, device, normal);

const trainer = await TrainingLoop.create({
  model,
  device,
  loss: sft(),
  rows,
  referenceOf: () => [0],
  settings,
});
const began = performance.now();
let mean = 0;
for await (const { step, metrics, tokens, seconds } of trainer.steps()) {
  mean += (metrics['loss'] ?? 0) / 100;
  if (step % 100 !== 0) continue;
  const elapsed = (performance.now() - began) / 1000;
  console.log(
    `step ${step} of ${trainer.totalSteps}: loss ${mean.toFixed(4)}, ${Math.round(tokens / seconds)} tokens/s, ${elapsed.toFixed(0)} s`,
  );
  mean = 0;
}

const tensors = model.parameters.map(({ variable }) => ({
  name: variable.name,
  shape: variable.type.shape,
  data: async () => Float32Array.from(await device.read(variable)),
}));
await saveModelFiles(
  values.out ?? folder,
  { config: json('config.json'), tokenizer, tensors },
  { dtype: 'F16' },
);
await device.dispose();
