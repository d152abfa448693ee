import { beforeAll, describe, expect, it } from 'vitest';
import { noWebGpu } from '../engine/webgpu.ts';
import { bundle } from './bundle.ts';
import {
  expectAccurate,
  expectClose,
  expectSameTraining,
  someSamples,
  trainedBy,
  tunedInNode,
} from './expected.ts';
import type { OpChecked } from './ops.ts';
import { ask, deno, node } from './runtimes.ts';
import type { Tuned } from './tune.ts';

describe.skipIf(deno.missing !== '')(`the built package in Deno ${deno.missing}`, () => {
  let want: Tuned;
  let module: string;
  beforeAll(async () => {
    want = await tunedInNode();
    module = await bundle('tune', 'node');
  });

  it.each([1, 2])('tunes with WebAssembly to the bits of Node, on %i threads', async (threads) => {
    const got = (await ask(deno, module, { device: 'plain', threads })) as Tuned;
    expect(got.device).toMatch(`plain SIMD, ${threads} thread`);
    expect(got.losses).toEqual(want.losses);
    expectClose(got, want);
  });

  it('trains from the command line as Node does', async () => {
    expectSameTraining(await trainedBy(deno), await trainedBy(node));
  });

  describe.skipIf(noWebGpu !== '')(`on its own WebGPU ${noWebGpu}`, () => {
    it('tunes and generates', async () => {
      const got = (await ask(deno, module, { device: 'webgpu' })) as Tuned;
      expect(got.device).toMatch(/^webgpu/);
      expectClose(got, want);
    }, 240_000);

    it('computes a sample of every op, and its gradients', async () => {
      const ops = await bundle('ops', 'node');
      expectAccurate((await ask(deno, ops, someSamples)) as OpChecked[]);
    }, 240_000);
  });
});
