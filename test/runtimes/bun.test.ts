import { beforeAll, describe, expect, it } from 'vitest';
import { noWebGpu } from '../engine/webgpu.ts';
import { bundle } from './bundle.ts';
import { expectClose, expectSameTraining, trainedBy, tunedInNode } from './expected.ts';
import { ask, bun, node } from './runtimes.ts';
import type { Tuned } from './tune.ts';

describe.skipIf(bun.missing !== '')(`the built package in Bun ${bun.missing}`, () => {
  let want: Tuned;
  let module: string;
  beforeAll(async () => {
    want = await tunedInNode();
    module = await bundle('tune', 'node');
  });

  it.each([1, 2])('tunes with WebAssembly to the bits of Node, on %i threads', async (threads) => {
    const got = (await ask(bun, module, { device: 'plain', threads })) as Tuned;
    expect(got.device).toMatch(`plain SIMD, ${threads} thread`);
    expect(got.losses).toEqual(want.losses);
    expectClose(got, want);
  });

  it('trains from the command line as Node does', async () => {
    expectSameTraining(await trainedBy(bun), await trainedBy(node));
  });

  // Bun has no WebGPU of its own, and loads Dawn as Node does.
  it.skipIf(noWebGpu !== '')(
    `tunes and generates on WebGPU by the webgpu package ${noWebGpu}`,
    async () => {
      const got = (await ask(bun, module, { device: 'webgpu' })) as Tuned;
      expect(got.device).toMatch(/^webgpu/);
      expectClose(got, want);
    },
    240_000,
  );
});
