import type { Device } from '../../engine/index.ts';
import type { LanguageModel } from '../../models/index.ts';
import { createModel } from '../../models/registry.ts';
import { parseSettings } from '../../trainer/config.ts';
import type { TokenizedRow } from '../../trainer/data/tokenized.ts';
import { sft } from '../../trainer/losses/sft.ts';
import { TrainingLoop } from '../../trainer/trainingLoop.ts';

/** A GPT-2 and a batch of `batch` sequences of `length` tokens. */
export interface Gpt2Step {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly vocab: number;
  readonly batch: number;
  readonly length: number;
}

/** GPT-2 124M with the batch that its step is counted and measured with. */
export const GPT2_124M: Gpt2Step = {
  ...{ layers: 12, width: 768, heads: 12, vocab: 50257 },
  ...{ batch: 8, length: 1024 },
};

export const gpt2Model = ({ layers, width, heads, vocab, length }: Gpt2Step): LanguageModel =>
  createModel({
    ...{ model_type: 'gpt2', n_layer: layers, n_embd: width, n_head: heads, n_positions: length },
    ...{ vocab_size: vocab, layer_norm_epsilon: 1e-5, activation_function: 'gelu_new' },
  });

/** The trainer of language-model steps (AdamW, clipping) on tokens that `token` draws. */
export function gpt2Trainer(
  { batch, length }: Gpt2Step,
  {
    model,
    device,
    steps = 1,
    recompute,
  }: {
    readonly model: LanguageModel;
    readonly device: Device;
    readonly steps?: number;
    readonly recompute?: boolean;
  },
  token: () => number,
): Promise<TrainingLoop> {
  const rows = Array.from({ length: batch }, (_, i): TokenizedRow => {
    const ids = Array.from({ length: length - 1 }, token);
    return {
      ...{ kind: 'completion', promptText: '', promptIds: [token()] },
      completion: { text: '', ids, klIds: null },
      origin: { file: 'bench', line: i + 1 },
    };
  });
  return TrainingLoop.create({
    ...{ model, device, rows, recompute, loss: sft(), referenceOf: () => [] },
    settings: parseSettings({ method: 'sft', per_device_train_batch_size: batch, max_steps: steps }),
  });
}
