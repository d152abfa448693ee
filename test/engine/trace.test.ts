import { describe, expect, it } from 'vitest';
import { GPT2_124M } from '../../bench/gpu/gpt2.ts';
import { traceStep } from '../../bench/gpu/trace.ts';

// What a step of GPT-2 124M (8 × 1024 tokens) asks of a GPU, counted without one.
describe('a step of GPT-2 124M on WebGPU', async () => {
  const [kept, again] = [await traceStep(GPT2_124M, false), await traceStep(GPT2_124M, true)];

  it('takes at most 28 dispatches a layer, forward and backward', async () => {
    const shallow = await traceStep({ ...GPT2_124M, layers: GPT2_124M.layers - 1 }, false);
    const training = ({ programs }: typeof kept) => programs[0]?.dispatches.length ?? NaN;
    expect(training(kept) - training(shallow)).toBeLessThanOrEqual(28);
    // Two norms and GELU once more.
    expect(training(again) - training(kept)).toBeLessThanOrEqual(3 * GPT2_124M.layers + 1);
  });

  it('takes two submits and at most 60 pipelines', () => {
    expect([kept.submits, kept.programs.map((p) => p.name)]).toEqual([2, ['train', 'update']]);
    expect(kept.pipelines).toBeLessThanOrEqual(60);
    expect(again.pipelines).toBeLessThanOrEqual(60);
  });

  it('holds a fraction of what a step with logits and probabilities holds', () => {
    const naive = kept.arenaBytes + kept.naiveBytes;
    expect(kept.arenaBytes / naive).toBeLessThan(0.4);
    expect(again.arenaBytes / naive).toBeLessThan(0.26);
    // Weights, gradients and moments included.
    const all = naive + kept.variableBytes;
    expect((kept.arenaBytes + kept.variableBytes) / all).toBeLessThan(0.47);
    expect((again.arenaBytes + again.variableBytes) / all).toBeLessThan(0.35);
  });

  it('computes what the model says: 6 operations a parameter and token, and attention', () => {
    const { layers, width, vocab, batch, length } = GPT2_124M;
    const tokens = batch * length;
    const products = 6 * tokens * (12 * layers * width ** 2 + width * vocab);
    // The head's logits are computed twice; attention has 9 products over the causal half.
    const twice = 2 * tokens * width * vocab;
    const attention = 9 * layers * tokens * length * width;
    expect(kept.flops / (products + twice + attention)).toBeCloseTo(1, 2);
  });
});
