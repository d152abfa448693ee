import { afterAll, describe, expect, it } from 'vitest';
import type { Tensor } from '../../engine/index.ts';
import {
  WasmDevice,
  add,
  checkpoint,
  compile,
  f32,
  fill,
  gelu,
  grad,
  matmul,
  rmsNorm,
  sum,
} from '../../engine/index.ts';

describe('gradients that compute blocks again', async () => {
  const device = await WasmDevice.create({ threads: 1 });
  afterAll(() => device.dispose());
  const LAYERS = 16;
  const program = (recompute: boolean | 'blocks') =>
    compile('blocks', { x: f32([256, 32]), w: f32([32, 128]), v: f32([128, 32]) }, ({ x, w, v }) => {
      const ones = fill(f32([32]), 1);
      let y: Tensor = checkpoint(x);
      for (let i = 0; i < LAYERS; i++)
        y = checkpoint(add(y, matmul(gelu(matmul(rmsNorm(y, ones, 1e-5), w)), v)));
      const [dw, dv] = grad(sum(rmsNorm(y, ones, 1e-5)), [w, v], { recompute }) as [Tensor, Tensor];
      return { outputs: { dw, dv } };
    });
  const run = async (recompute: boolean | 'blocks') => {
    const executable = await device.load(program(recompute));
    const numbers = (n: number, by: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * by));
    const outputs = await executable.run({
      x: numbers(8192, 1),
      w: numbers(4096, 0.3),
      v: numbers(4096, 0.7),
    });
    return { outputs, bytes: executable.arenaBytes };
  };

  it('are the same to the bit, and keep one tensor a block', async () => {
    const [kept, cheap, blocks] = [await run(false), await run(true), await run('blocks')];
    expect(blocks.outputs).toEqual(kept.outputs);
    expect(blocks.bytes).toBeLessThan(0.4 * cheap.bytes);
    // Checkpoints of [256, 32], and one block's tensors.
    expect(blocks.bytes).toBeLessThan(4 * 256 * (32 * (LAYERS + 6) + 128 * 4));
  });

  it('compute again what lies between checkpoints alone', () => {
    const count = (recompute: boolean | 'blocks') =>
      program(recompute).nodes.filter((node) => node.op.name === 'matmul').length;
    // The last product of a block is a checkpoint's, which is kept.
    expect(count('blocks') - count(true)).toBe(LAYERS);
  });
});
