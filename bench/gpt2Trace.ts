import type { DispatchClass, ProgramTrace } from '../engine/webgpu/trace.ts';
import { TraceDevice, classesOf } from '../engine/webgpu/trace.ts';
import { createModel } from '../models/registry.ts';
import { parseSettings } from '../trainer/config.ts';
import type { TokenizedRow } from '../trainer/data/tokenized.ts';
import { sft } from '../trainer/losses/sft.ts';
import { Trainer } from '../trainer/trainer.ts';

/** GPT-2 124M and a batch; small ones for the tests. */
export const GPT2_STEP = { layers: 12, width: 768, heads: 12, vocab: 50257, batch: 8, length: 1024 };
export type Gpt2Step = typeof GPT2_STEP;

export interface StepTrace {
  readonly programs: readonly ProgramTrace[];
  readonly classes: readonly DispatchClass[];
  readonly dispatches: number;
  readonly submits: number;
  /** Distinct ones. */
  readonly pipelines: number;
  readonly flops: number;
  /** Weights, gradients, moments, and the arena that all programs share. */
  readonly peakBytes: number;
  /**
   * What a step holds that keeps logits [T, V], their gradients and every layer's probabilities [B, H, T, T] beside
   * this plan's own bytes.
   */
  readonly naiveBytes: number;
}

/** A training step of a language model (AdamW, clipping), planned and linked for a GPU but not run. */
export async function traceStep(step: Gpt2Step, recompute: boolean): Promise<StepTrace> {
  const { layers, width, heads, vocab, batch, length } = step;
  const model = createModel({
    ...{ model_type: 'gpt2', n_layer: layers, n_embd: width, n_head: heads, n_positions: length },
    ...{ vocab_size: vocab, layer_norm_epsilon: 1e-5, activation_function: 'gelu_new' },
  });
  const device = new TraceDevice();
  for (const { variable } of model.parameters) device.write(variable);
  const ids = Array.from({ length: length - 1 }, () => 0);
  const rows = Array.from(
    { length: batch },
    (_, i): TokenizedRow => ({
      ...{ kind: 'completion', promptText: '', promptIds: [0] },
      completion: { text: '', ids, klIds: null },
      origin: { file: 'trace', line: i + 1 },
    }),
  );
  await Trainer.create({
    ...{ model, device, rows, recompute },
    loss: sft(),
    referenceOf: () => [],
    settings: parseSettings({ method: 'sft', per_device_train_batch_size: batch, max_steps: 1 }),
  });
  const { traces } = device;
  const classes = classesOf(traces.flatMap((t) => t.dispatches));
  const peakBytes = device.memory.total;
  const [logits, probabilities] = [batch * length * vocab, layers * batch * heads * length ** 2];
  return {
    programs: traces,
    classes,
    dispatches: traces.reduce((n, t) => n + t.dispatches.length, 0),
    submits: traces.length,
    pipelines: new Set(traces.flatMap((t) => t.pipelines)).size,
    flops: classes.reduce((n, c) => n + c.flops, 0),
    peakBytes,
    naiveBytes: peakBytes + 4 * (2 * logits + probabilities),
  };
}
