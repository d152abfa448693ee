import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle, root, scratch } from './bundle.ts';
import { expectAccurate, expectClose, someSamples, tunedInNode } from './expected.ts';
import type { OpChecked } from './ops.ts';
import type { Page, Pages } from './page.ts';
import { openPages } from './page.ts';
import { chromium } from './runtimes.ts';
import type { TuneJob, Tuned } from './tune.ts';

describe.skipIf(chromium.missing !== '')(`the built package in pages of Chromium ${chromium.missing}`, () => {
  let want: Tuned;
  let pages: Pages;
  let [isolated, open]: Page[] = [];
  beforeAll(async () => {
    [want] = await Promise.all([tunedInNode(), bundle('tune', 'browser'), bundle('ops', 'browser')]);
    pages = await openPages(chromium.command[0] ?? '', { built: scratch(), dist: join(root, 'dist') });
    [isolated, open] = [await pages.open(true), await pages.open(false)];
  });
  afterAll(() => pages?.close());

  const ask = (page: Page | undefined, name: 'tune' | 'ops', job: unknown) =>
    page?.evaluate(`import('./built/${name}.browser.mjs').then((m) => m.run(${JSON.stringify(job)}))`);
  const tune = async (page: Page | undefined, job: TuneJob) => (await ask(page, 'tune', job)) as Tuned;

  it.each([
    ['isolated', 1, 1],
    ['isolated', 2, 2],
    ['open', 1, 2],
  ])(
    'tunes with WebAssembly to the bits of Node: %s page, %i of %i threads',
    async (kind, threads, asked) => {
      const page = kind === 'isolated' ? isolated : open;
      const got = await tune(page, { device: 'plain', threads: asked });
      expect(got.device).toMatch(`plain SIMD, ${threads} thread`);
      expect(got.losses).toEqual(want.losses);
      expectClose(got, want);
    },
  );

  it('takes WebAssembly by itself where the GPU is one in software', async () => {
    const got = await tune(isolated, { device: 'auto' });
    expect(got.device).toMatch(/^wasm/);
    expectClose(got, want);
  });

  it('loads the engine as it is in dist, without a bundler', async () => {
    const code = `import('./dist/engine.js').then(async ({ data, matmul, tensor }) =>
      [...await data(matmul(tensor([1, 2], [1, 2]), tensor([3, 4], [2, 1])))])`;
    expect(await open?.evaluate(code)).toEqual([11]);
  });

  it('tunes and generates on WebGPU', async () => {
    const got = await tune(open, { device: 'webgpu' });
    expect(got.device).toMatch(/^webgpu/);
    expectClose(got, want);
  }, 240_000);

  it('computes a sample of every op on WebGPU, and its gradients', async () => {
    expectAccurate((await ask(isolated, 'ops', someSamples)) as OpChecked[]);
  }, 240_000);
});
