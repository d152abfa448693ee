import type { Device } from 'prefgrad';
import {
  Generator,
  Random,
  TrainingLoop,
  WasmDevice,
  createModel,
  dpo,
  initialiseWeights,
  openDevice,
  parseSettings,
} from 'prefgrad';

// What a program of a user's may do with the built package: it runs in Node, Deno, Bun and pages alike.

/** `plain`: WebAssembly without relaxed SIMD, which gives the same bits everywhere. */
export interface TuneJob {
  readonly device: 'plain' | 'webgpu' | 'auto';
  readonly threads?: number;
}

export interface Tuned {
  readonly device: string;
  readonly losses: readonly number[];
  /** A greedy completion by the tuned model. */
  readonly tokens: readonly number[];
}

/** Alike widths, since each shape of a product is a shader that a GPU in software takes most of a second to compile. */
const vocab = 24;
const config = {
  model_type: 'llama',
  ...{ vocab_size: vocab, hidden_size: 24, intermediate_size: 24, num_hidden_layers: 2 },
  ...{ num_attention_heads: 3, num_key_value_heads: 3, head_dim: 8, max_position_embeddings: 64 },
};

const open = ({ device, threads }: TuneJob): Promise<Device> =>
  device === 'plain' ? WasmDevice.create({ threads, simd: 'plain' }) : openDevice({ device, threads });

/** Three steps of DPO on a tiny random model, then a completion. */
export async function run(job: TuneJob): Promise<Tuned> {
  const device = await open(job);
  const random = new Random(3);
  const model = createModel(config);
  initialiseWeights(model, device, () => 60 * (random.uniform() - 0.5));
  const ids = (most: number): number[] =>
    Array.from({ length: 1 + random.below(most) }, () => random.below(vocab));
  const completion = () => ({ ids: ids(9), text: '', klIds: null });
  const rows = Array.from({ length: 6 }, (_, i) => ({
    ...{ kind: 'pair' as const, origin: { file: 'rows', line: i + 1 }, promptIds: ids(9), promptText: '' },
    ...{ chosen: completion(), rejected: completion() },
  }));
  const settings = parseSettings({
    ...{ method: 'dpo', max_steps: 3, per_device_train_batch_size: 2, learning_rate: 1e-2 },
    ...{ lr_scheduler_type: 'constant', seed: 1 },
  });
  const loop = await TrainingLoop.create({
    ...{ model, device, loss: dpo({ beta: 0.1 }), rows, settings },
    referenceOf: ({ origin }) => [-3 - origin.line, -4],
  });
  const losses: number[] = [];
  for await (const { metrics } of loop.steps()) losses.push(metrics['loss'] ?? NaN);
  loop.dispose();
  const generator = new Generator(model, device, 1, 24);
  const [generated] = await generator.generate([[1, 2, 3]], { temperature: 0, maxNewTokens: 12 });
  generator.dispose();
  await device.dispose();
  return { device: device.description, losses, tokens: generated?.tokens ?? [] };
}
